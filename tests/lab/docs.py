# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the site of the documentation: the Markdown pages as they are, and a reference from the specifications.

Run by ``make docs``, with the tools of requirements/docs.txt in an environment of their own. A warning of
Sphinx is an error: a link that leads nowhere is one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from sanity import ROOT, tools

SITE = ROOT / ".cache" / "docs"
PAGES = ("*.md", "LICENSE", "docs/*", "bench/README.md", "roles/*/README.md")
"""What is copied, under its own name, so that links between pages are those that a forge follows."""

CONF = """\
project = "agnes.host"
extensions = ["myst_parser", "sphinx_antsibull_ext"]
root_doc = "README"
myst_heading_anchors = 4
html_theme = "alabaster"
html_theme_options = {"fixed_sidebar": True, "page_width": "70em", "description": "%s"}
html_show_sourcelink = False
# Labels of Ansible's own documentation, which is not built here. A link of a page is no label.
suppress_warnings = ["ref.ref"]
"""

CONTENTS = """

```{{toctree}}
:hidden:
:caption: {caption}
:maxdepth: 1

{pages}
```
"""

OPERATE = (
    "first-host", "hosts", "adopt", "state-dir", "moving", "move-by-hand", "recovery", "disks", "bring-over",
    "boot-script", "host-tools", "audit", "fleet", "report", "awx", "faq", "errors", "releases", "upgrading",
)  # fmt: skip
"""Pages in the order in which an operator needs them; all others come after them."""


def run(command: Sequence[str | Path], env: dict[str, str]) -> None:
    """Run a command of the tools, or end with what it said."""
    done = subprocess.run(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"docs: {Path(command[0]).name} failed:\n{done.stdout}")


def contents(docs: Sequence[str], others: Sequence[str]) -> str:
    """The tables of contents that the first page gets; each page is in one of them."""
    first = [name for name in OPERATE if name in docs]
    groups = {
        "Operating": [f"docs/{name}" for name in first],
        "Reference": ["reference/index", *others],
        "Building": [f"docs/{name}" for name in docs if name not in OPERATE],
    }
    return "".join(
        CONTENTS.format(caption=caption, pages="\n".join(pages))
        for caption, pages in groups.items()
    )


def copy_pages(source: Path) -> None:
    """The pages below ``source``, the first one with the tables of contents."""
    names = [path.relative_to(ROOT) for pattern in PAGES for path in sorted(ROOT.glob(pattern))]
    for name in names:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, source / name)
    pages = [name.with_suffix("").as_posix() for name in names if name.suffix == ".md"]
    docs = [name.removeprefix("docs/") for name in pages if name.startswith("docs/")]
    others = [name for name in pages if not name.startswith("docs/") and name != "README"]
    with (source / "README.md").open("a") as file:
        file.write(contents(docs, others))


def main() -> None:
    """Entry point."""
    commands = tools("docs", ROOT / "requirements" / "docs.txt", Path(sys.executable))
    source, site = SITE / "source", SITE / "html"
    shutil.rmtree(SITE, ignore_errors=True)
    source.mkdir(parents=True)
    env = {
        **{k: v for k, v in os.environ.items() if not k.startswith("ANSIBLE_")},
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
        "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
    }
    copy_pages(source)
    (source / "conf.py").write_text(CONF % "hosts of Agnes, provisioned and kept")
    (source / "reference").mkdir()
    run(
        [commands / "antsibull-docs", "collection", "--use-current", "--squash-hierarchy",
         "--fail-on-error", "--dest-dir", source / "reference", "agnes.host"],
        env,
    )  # fmt: skip
    run(
        [commands / "sphinx-build", "--fail-on-warning", "--keep-going", "--quiet", source, site],
        env,
    )
    count = sum(1 for _page in site.rglob("*.html"))
    print(f"docs: {count} pages, {(site / 'README.html').relative_to(ROOT)}")


if __name__ == "__main__":
    main()
