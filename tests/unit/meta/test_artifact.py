# SPDX-License-Identifier: GPL-3.0-or-later
"""What is published: all that the collection needs, and nothing that a user has put into the folder."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

import artifact
import pytest

from .repo import ROOT, files

SHIPPED = ("docs/", "meta/", "playbooks/", "plugins/", "roles/")
BESIDE = {"README.md", "CHANGELOG.md", "LICENSE"}
MADE = {"FILES.json", "MANIFEST.json"}
FOREIGN = (
    "inventory.yml", "hosts.ini", "agnes-plan-agnes1.json", ".vault_pass", "vault-password.txt",
    "group_vars/all/vault.yml", "host_vars/agnes1.yml", "playbooks/group_vars/agnes/vault.yml",
    "playbooks/inventory.yml", "playbooks/agnes-plan-agnes1.json", "roles/disks/files/privkey.pem",
    "docs/notes.txt", "plugins/modules/__pycache__/disks.pyc", "inventories/mine/hosts.yml",
    "privkey.pem", "meta/secrets.yml", ".env",
)  # fmt: skip


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The artifact of a checkout in which a user has worked."""
    checkout, out = tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("out")
    for name in files():
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, checkout / name)
    for name in FOREIGN:
        assert not (checkout / name).exists()
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_text("secret\n")
    return artifact.build(checkout, out)


def test_it_has_what_the_collection_needs_and_nothing_else(built: Path) -> None:
    with tarfile.open(built) as tar:
        names = {member.name for member in tar.getmembers() if member.isfile()}
    wanted = {name for name in files() if name.startswith(SHIPPED)} | BESIDE | MADE
    assert sorted(names - wanted) == [], "what was not meant to be published"
    assert sorted(wanted - names) == [], "left out: galaxy.yml has the list"


def test_its_playbooks_load_where_nothing_else_is(built: Path, tmp_path: Path) -> None:
    collections = tmp_path / "collections"
    collections.mkdir()
    artifact.install(built, collections)
    artifact.load_playbooks(collections, tmp_path)
    assert (collections / "ansible_collections/agnes/host/playbooks/tasks/plan.yml").is_file()
