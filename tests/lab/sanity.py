# SPDX-License-Identifier: GPL-3.0-or-later
"""Check the collection as its ecosystem does: ``ansible-test sanity`` and ``units``.

With each release of ansible-core that the collection is for, and the unit tests of what runs on
hosts with each Python of a host; the last lines say which ran. A Python that this machine lacks
is named, and skipped. Then what is published: changelog, documentation, and the artifact as
galaxy-importer sees it. Works in a copy of the tree, without a container engine:

    python tests/lab/sanity.py [RELEASE | publish]... | quick

``quick`` is a part that takes seconds, with the ansible-core of this environment.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "sanity"

RELEASES = {
    "2.19": ("3.11", "3.12", "3.13"),
    "2.20": ("3.12", "3.13", "3.14"),
    "2.21": ("3.13", "3.12", "3.14"),
}
"""Release -> Pythons of its controllers, the one that is wanted first."""

TARGETS = ("3.9", "3.10", "3.11", "3.12", "3.13")
"""Pythons of hosts."""

ON_HOSTS = "tests/unit/plugins/module_utils/"
"""The unit tests of what runs on hosts."""

QUICK = (
    "validate-modules",
    "ansible-doc",
    "runtime-metadata",
    "empty-init",
    "no-assert",
    "shebang",
)

PUBLISH = "publish"
PUBLISHED = (
    ("ansible-galaxy", "collection", "build"),
    ("python", "-m", "galaxy_importer.main", "{artifact}"),
    (
        "antsibull-docs", "lint-collection-docs", "--plugin-docs", "--validate-collection-refs",
        "dependent", "--disallow-unknown-collection-refs", ".",
    ),
    ("antsibull-changelog", "lint"),
    ("antsibull-changelog", "release"),
    # How an image of a controller is made, and what one that has this collection needs for it.
    ("ansible-builder", "create", "--file", "meta/execution-environment.yml", "--context", ".cache/image"),
    ("ansible-builder", "introspect", "{collections}"),
)  # fmt: skip
"""What is run in a copy of the tree; the release of the changelog is tried there."""
OBJECTED = re.compile(r"\b(WARNING|ERROR|CRITICAL)\b")
"""How galaxy-importer reports a finding; it ends well all the same."""

PIP = """\
# Stands in for the download of get-pip: ansible-test makes environments without pip.
import ensurepip

ensurepip.bootstrap(default_pip=True)
"""
PIP_VERSION = re.compile(r"pip='([\d.]+)'")


@dataclass(frozen=True)
class Run:
    """A command of ansible-test, and the Pythons that it runs with."""

    release: str
    controller: str
    arguments: tuple[str, ...]
    title: str


@dataclass(frozen=True)
class Result:
    """How a run ended; ``good`` is None where it was skipped."""

    title: str
    good: bool | None
    seconds: float = 0.0


def interpreters(path: str, home: Path) -> dict[str, Path]:
    """Python versions such as ``3.9`` that ``path`` or pyenv has, with the folder of each."""
    roots = [os.environ.get("PYENV_ROOT", ""), str(home / ".pyenv")]
    folders = [f for root in roots if root for f in sorted(Path(root).glob("versions/*/bin"))]
    by_version: dict[str, Path] = {}
    for folder in [*map(Path, path.split(os.pathsep)), *folders]:
        for version in {*TARGETS, *(v for known in RELEASES.values() for v in known)}:
            if version not in by_version and answers(folder / f"python{version}"):
                by_version[version] = folder
    return by_version


def answers(python: Path) -> bool:
    """Whether a command is a Python that starts: a shim of pyenv is there for each version that it knows."""
    if not os.access(python, os.X_OK):
        return False
    return subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0


def plan(releases: Sequence[str], here: Sequence[str]) -> tuple[list[Run], list[str]]:
    """What is run with the Pythons that are ``here``, and what is skipped.

    All of sanity with each release. The unit tests with each release, and with each Python of
    a host; the latest release takes the Pythons that no other has as its controller.
    """
    runs: list[Run] = []
    skipped: list[str] = []
    controllers: dict[str, str] = {}
    for release in releases:
        usable = [version for version in RELEASES[release] if version in here]
        if usable:
            controllers[release] = usable[0]
        else:
            skipped.append(f"ansible-core {release}: no Python {' or '.join(RELEASES[release])}")
    left = [version for version in TARGETS if version not in controllers.values()]
    skipped += [
        f"hosts with Python {version}: not on this machine"
        for version in left
        if version not in here
    ]
    for release, python in controllers.items():
        said = f"ansible-core {release}, Python {python}"
        runs.append(
            Run(release, python, ("sanity", "--local", "--python", python), f"{said}: sanity")
        )
        targets = [python]
        if release == list(controllers)[-1]:
            targets += [version for version in left if version in here]
        for target in targets:
            on = ("--controller", f"origin:python={python}", "--target-python")
            # The controller's own tests are run with its Python, once.
            what = () if target == python else (ON_HOSTS,)
            tests = ("units", *on, f"venv/{target}", *what)
            runs.append(Run(release, python, tests, f"{said}: units on Python {target}"))
            if target != python:
                # Sanity makes its own environments, and takes no venv/.
                compiled = ("sanity", "--test", "compile", "--test", "import", *on, target)
                title = f"{said}: compiled and imported by Python {target}"
                runs.append(Run(release, python, compiled, title))
    return runs, skipped


@contextmanager
def copied_tree() -> Iterator[Path]:
    """A copy of what is or would be committed, where ansible-test looks for a collection."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="agnes-sanity-") as folder:
        tree = Path(folder) / "ansible_collections" / "agnes" / "host"
        for name in filter(None, listed.stdout.split("\0")):
            if os.path.lexists(ROOT / name):
                (tree / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, tree / name, follow_symlinks=False)
        for command in (["init", "--quiet"], ["add", "--all"]):
            subprocess.run(["git", *command], cwd=tree, check=True)
        yield tree


def tools(name: str, wanted: Path, python: Path) -> Path:
    """The folder of the commands that ``wanted`` lists, installed once into ``CACHE``."""
    folder = CACHE / name / "venv"
    stamp = folder / "stamp"
    if not stamp.exists() or stamp.read_text() != f"{python}\n{wanted.read_text()}":
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([python, "-m", "venv", folder], check=True)
        subprocess.run(
            [
                folder / "bin" / "python",
                "-m",
                "pip",
                "install",
                "--quiet",
                "--require-hashes",
                "--requirement",
                wanted,
            ],
            check=True,
        )
        stamp.write_text(f"{python}\n{wanted.read_text()}")
    return folder / "bin"


def environment(home: Path, commands: Path, pythons: Mapping[str, Path]) -> dict[str, str]:
    """The environment of ansible-test, which keeps its environments in ``home``."""
    cache = home / ".ansible" / "test" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    code = next(
        commands.parent.glob(
            "lib/python3*/site-packages/ansible_test/_internal/python_requirements.py"
        )
    )
    for version in PIP_VERSION.findall(code.read_text()):
        (cache / f"get_pip_{version.replace('.', '_')}.py").write_text(PIP)
    own = Path.home() / ".config" / "pip"
    if own.is_dir() and not (home / ".config" / "pip").exists():
        (home / ".config").mkdir(exist_ok=True)
        (home / ".config" / "pip").symlink_to(own)
    kept = {
        k: v
        for k, v in os.environ.items()
        if not k.startswith(("ANSIBLE_", "PYTHON", "VIRTUAL_ENV"))
    }
    folders = [commands, *dict.fromkeys(pythons.values())]
    return {
        **kept,
        "HOME": str(home),
        "PATH": os.pathsep.join([*map(str, folders), os.environ["PATH"]]),
    }


def carry_out(runs: Sequence[Run], pythons: Mapping[str, Path]) -> list[Result]:
    """Run all that one release does, in order, in a copy of its own."""
    release, python = runs[0].release, runs[0].controller
    wanted = ROOT / "requirements" / f"sanity-{release}.txt"
    commands = tools(release, wanted, pythons[python] / f"python{python}")
    env = environment(CACHE / release / "home", commands, pythons)
    results: list[Result] = []
    with copied_tree() as tree:
        for run in runs:
            started = time.monotonic()
            good, _said = tell(["ansible-test", *run.arguments], tree, env, release)
            results.append(Result(run.title, good, time.monotonic() - started))
    return results


def tell(
    command: Sequence[str], tree: Path, env: Mapping[str, str], name: str
) -> tuple[bool, list[str]]:
    """Run a command with ``name`` before each of its lines; returns whether it ended well, and the lines."""
    said = []
    print(f"{name} | --- {' '.join(command)}", flush=True)
    with subprocess.Popen(
        command, cwd=tree, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, errors="replace",
    ) as process:  # fmt: skip
        for line in process.stdout or ():
            said.append(line)
            print(f"{name} | {line}", end="", flush=True)
    return process.returncode == 0, said


def publish() -> list[Result]:
    """Check what is published with the tools of those who publish it."""
    commands = tools(PUBLISH, ROOT / "requirements" / "publish.txt", Path(sys.executable))
    env = environment(CACHE / PUBLISH / "home", commands, {})
    results = []
    with copied_tree() as tree:
        env["ANSIBLE_COLLECTIONS_PATH"] = str(tree.parents[2])
        for command in PUBLISHED:
            started = time.monotonic()
            artifact = next((path.name for path in tree.glob("*.tar.gz")), "no artifact")
            collections = env["ANSIBLE_COLLECTIONS_PATH"]
            words = [word.format(artifact=artifact, collections=collections) for word in command]
            good, said = tell(words, tree, env, PUBLISH)
            objected = "galaxy_importer.main" in command and any(map(OBJECTED.search, said))
            title = f"{PUBLISH}: {' '.join(command[:3])}"
            results.append(Result(title, good and not objected, time.monotonic() - started))
    return results


def quick() -> int:
    """Check what takes seconds, with the commands beside this Python; returns the exit status."""
    commands = Path(sys.executable).parent
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    env = environment(CACHE / "quick", commands, {})
    chosen = [word for test in QUICK for word in ("--test", test)]
    with copied_tree() as tree:
        command = ["ansible-test", "sanity", "--local", "--python", python, *chosen]
        return 0 if tell(command, tree, env, "sanity")[0] else 1


def main(wanted: Sequence[str]) -> int:
    """Run all that is ``wanted``, or everything, even after a failure; returns the exit status."""
    if wanted == ["quick"]:
        return quick()
    pythons = interpreters(os.environ["PATH"], Path.home())
    releases = [release for release in RELEASES if not wanted or release in wanted]
    runs, skipped = plan(releases, [*pythons])
    by_release = [[run for run in runs if run.release == r] for r in RELEASES]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        done = pool.map(lambda each: carry_out(each, pythons), filter(None, by_release))
        results = [result for each in done for result in each]
    if not wanted or PUBLISH in wanted:
        results += publish()
    results += [Result(what, None) for what in skipped]
    print("\nWhat ran:")
    for result in results:
        said = {True: "ok", False: "FAILED", None: "skipped"}[result.good]
        print(
            f"  {said:<8} {result.title}"
            + (f"  ({result.seconds:.0f} s)" if result.good is not None else "")
        )
    goods = [result.good for result in results]
    print(f"{goods.count(True)} passed, {goods.count(False)} failed, {goods.count(None)} skipped")
    return 1 if False in goods or True not in goods else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
