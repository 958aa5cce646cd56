# SPDX-License-Identifier: GPL-3.0-or-later
"""Which Python checks which release of ansible-core, and what is skipped and named."""

from __future__ import annotations

from pathlib import Path

import pytest
import sanity

ALL = [*sanity.RELEASES]
UNITS = [
    ("2.19", "3.11"), ("2.20", "3.12"), ("2.21", "3.13"), ("2.21", "3.9"), ("2.21", "3.10"),
]  # fmt: skip


def units(runs: list[sanity.Run]) -> list[tuple[str, str]]:
    """Each release and Python that the unit tests run with."""
    of = [run for run in runs if run.arguments[0] == "units"]
    for run in of:
        # What runs on hosts is tested on each Python, the rest with the controller's alone.
        part = run.arguments[5:] == ("tests/unit/plugins/module_utils/",)
        assert part is (run.arguments[4] != f"venv/{run.controller}"), run
    return [(run.release, run.arguments[4].removeprefix("venv/")) for run in of]


def test_each_release_and_each_python_of_a_host_is_checked_once() -> None:
    runs, skipped = sanity.plan(ALL, sanity.TARGETS)
    assert units(runs) == UNITS
    whole = [run.arguments for run in runs if run.arguments[:2] == ("sanity", "--local")]
    assert [arguments[-1] for arguments in whole] == ["3.11", "3.12", "3.13"]
    assert skipped == []
    compiled = [run.arguments for run in runs if "compile" in run.arguments]
    assert [arguments[-2:] for arguments in compiled] == [
        ("--target-python", "3.9"), ("--target-python", "3.10"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("here", "to_run", "missing"),
    [
        (["3.11"], [("2.19", "3.11")], ["ansible-core 2.20", "ansible-core 2.21", "3.9", "3.10", "3.12", "3.13"]),
        (["3.9", "3.12"], [("2.19", "3.12"), ("2.20", "3.12"), ("2.21", "3.12"), ("2.21", "3.9")], ["3.10", "3.11", "3.13"]),
        ([], [], ["ansible-core 2.19", "ansible-core 2.20", "ansible-core 2.21", *sanity.TARGETS]),
    ],
)  # fmt: skip
def test_what_this_machine_lacks_is_named_and_skipped(
    here: list[str], to_run: list[tuple[str, str]], missing: list[str]
) -> None:
    runs, skipped = sanity.plan(ALL, here)
    assert units(runs) == to_run
    assert [
        line.partition(":")[0].removeprefix("hosts with Python ") for line in skipped
    ] == missing


def test_interpreters_are_found_on_the_path_and_in_pyenv(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYENV_ROOT", raising=False)
    known = {"3.9": tmp_path / ".pyenv/versions/3.9.1/bin", "3.12": tmp_path / "bin"}
    shims = tmp_path / "shims"
    for folder, version, status in [*((f, v, 0) for v, f in known.items()), (shims, "3.9", 127)]:
        folder.mkdir(parents=True)
        (folder / f"python{version}").write_text(f"#!/bin/sh\nexit {status}\n")
        (folder / f"python{version}").chmod(0o755)
    assert sanity.interpreters(f"{shims}:{tmp_path / 'bin'}", tmp_path) == known


def test_each_release_has_its_ignores_and_its_requirements() -> None:
    for release in sanity.RELEASES:
        assert (
            f"ansible-core=={release}."
            in (sanity.ROOT / f"requirements/sanity-{release}.txt").read_text()
        )
        assert (sanity.ROOT / f"tests/sanity/ignore-{release}.txt").exists()
