# SPDX-License-Identifier: GPL-3.0-or-later
"""What the documents name is there: pages and headings, playbooks, variables, commands, files.

So a command in a document may be an example (HOST, UUID=...), but not one of something that is gone.
Verbs of make are in test_contributing.py, codes in test_errors.py.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.move.move_steps import STEPS
from ansible_collections.agnes.host.plugins.module_utils.move.command import USAGE

from .repo import below, files, load, read

PAGES = [
    name
    for name in files()
    if name.endswith(".md")
    and ("/" not in name or re.fullmatch(r"(docs|bench)/[^/]+|roles/[^/]+/README\.md", name))
    and name != "CHANGELOG.md"
]
VARIABLES = {
    name
    for role in ("disks", "state_layout", "agnes_compose")
    for name in load(f"roles/{role}/meta/argument_specs.yml")["argument_specs"]["main"]["options"]
}
PLAYBOOKS = {PurePosixPath(name).stem for name in below("playbooks") if name.count("/") == 1}
IN_PLAYBOOKS = "\n".join(map(read, below("playbooks", "molecule/shared", "plugins")))
FOLDERS = (
    "bench",
    "docs",
    "inventories",
    "meta",
    "molecule",
    "playbooks",
    "plugins",
    "roles",
    "tests",
)
FACTS = {"disks_plan"}
"""What the roles leave for others to read."""


def slug(heading: str) -> str:
    """The anchor that a forge makes of a heading."""
    return re.sub(r"[^\w\- ]", "", re.sub(r"[`*]", "", heading).lower()).replace(" ", "-")


def anchors(name: str) -> set[str]:
    return {slug(heading) for heading in re.findall(r"(?m)^#+ (.+)$", read(name))}


def target(page: str, path: str) -> str:
    """The file that a link of a page means, from the root."""
    parts: list[str] = []
    for part in (PurePosixPath(page).parent / path).parts:
        parts = parts[:-1] if part == ".." else [*parts, part]
    return "/".join(parts)


@pytest.mark.parametrize("page", PAGES)
def test_each_link_leads_to_a_file_and_a_heading(page: str) -> None:
    text = re.sub(r"`[^`\n]*`", "", re.sub(r"(?m)^ {4,}.*$", "", read(page)))
    broken = []
    for path, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)", text):
        meant = target(page, path) if path else page
        known = meant in files() or below(meant.rstrip("/"))
        if not known or (anchor and anchor not in anchors(meant)):
            broken.append(f"{path}#{anchor}")
    assert not broken


@pytest.mark.parametrize("page", PAGES)
def test_each_playbook_variable_and_tool_is_there(page: str) -> None:
    text = read(page)
    playbooks = set(re.findall(r"(?:playbooks/|\bagnes\.host\.)(\w+)\.yml\b", text))
    playbooks |= set(re.findall(r"ansible-playbook [^\n]*\bagnes\.host\.(\w+)", text))
    assert playbooks <= PLAYBOOKS
    given = set(re.findall(r"(?<!\S)`?-e '?\{?\"?(\w+)(?=[=\":])", text))
    words = given | set(
        re.findall(
            r"(?<![\w/])((?:disks|state_layout|agnes_compose|audit|rollout|purge)_[a-z_]+)", text
        )
    )
    known = VARIABLES | FACTS | {"layout", "plan"}
    unknown = {
        name
        for name in words - known
        if not re.search(rf"\b{name}\b", IN_PLAYBOOKS) and not name.endswith("_")
    }
    assert not unknown
    commands = set(re.findall(r"`agnes-host ([a-z][a-z-]+)", text))
    assert commands <= {*re.findall(r"[a-z][a-z-]+", USAGE), "move"}


@pytest.mark.parametrize("page", PAGES)
def test_each_file_of_the_repository_that_a_page_names_is_there(page: str) -> None:
    folders = "|".join(FOLDERS)
    named = re.findall(rf"(?<![\w./-])((?:{folders})/[\w./-]*\w)(?![\w-]*\*)", read(page))
    folder_names = {str(parent) for name in files() for parent in PurePosixPath(name).parents}
    # NAME and the like stand for any.
    missing = [
        name
        for name in named
        if name not in files()
        and name not in folder_names
        and not re.search(r"[A-Z]{3}", name.replace("README", ""))
    ]
    assert not missing


def test_recovery_by_hand_has_one_row_for_each_step_of_a_move() -> None:
    rows = re.findall(r"(?m)^\| ((?:`\w+` ?)+)\|", read("docs/move-by-hand.md"))
    assert sorted(" ".join(rows).replace("`", "").split()) == sorted(STEPS)


def test_the_readme_leads_to_each_page() -> None:
    linked = set(re.findall(r"\]\((docs/[^)#]+\.md)\)", read("README.md")))
    assert linked == {name for name in PAGES if name.startswith("docs/")}


def test_links_commands_and_files_are_found() -> None:
    assert len(PAGES) > 20
    assert slug("A second copy, shadowed by the mount") == "a-second-copy-shadowed-by-the-mount"
    assert target("roles/disks/README.md", "../../docs/disks.md") == "docs/disks.md"
    assert "your-own-hosts" in anchors("README.md")
