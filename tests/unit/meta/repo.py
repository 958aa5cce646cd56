# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of the repository."""

from __future__ import annotations

import functools
import subprocess
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[3]
PLACES = (ROOT / ".collections", *ROOT.parents[2:3])
COLLECTIONS = next(path for path in PLACES if (path / "ansible_collections/agnes/host").is_dir())
"""Where Ansible finds this collection: a checkout is linked, a copy for ansible-test is in its place."""


@functools.cache
def files() -> tuple[str, ...]:
    """Every file that is or would be committed, by its path from the root."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return tuple(name for name in sorted(done.stdout.splitlines()) if (ROOT / name).is_file())


def below(*folders: str) -> list[str]:
    """The files below some folders of the root."""
    return [name for name in files() if name.startswith(tuple(f"{f}/" for f in folders))]


def read(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


class Loader(yaml.SafeLoader):
    """YAML as Ansible and Compose write it: tags are dropped."""


def _untagged(loader: yaml.SafeLoader, _suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    assert isinstance(node, yaml.MappingNode)
    return loader.construct_mapping(node, deep=True)


Loader.add_multi_constructor("!", _untagged)


def load(name: str) -> Any:
    """A YAML file; several documents as a list."""
    documents = [*yaml.load_all(read(name), Loader)]
    return documents[0] if len(documents) == 1 else documents
