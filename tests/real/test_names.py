# SPDX-License-Identifier: GPL-3.0-or-later
"""Labels, attributes and read-only filesystems as the real tools and the kernel have them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.agnes.host.plugins.module_utils.system.disks import devices, fstab_file

LABELS = ["My Data", "a'b\"c", "$x`y", "a\\b"]


@pytest.mark.parametrize("label", LABELS)
def test_a_label_is_observed_as_it_was_given(label: str, tmp_path: Path) -> None:
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(8 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-L", label, str(image)], check=True)
    signatures, filesystem = devices._signatures(str(image))
    assert filesystem["label"] == label
    assert signatures == [f"ext4 labelled '{label}'"]


def test_an_immutable_file_and_a_read_only_filesystem_are_foreseen(
    filesystem: Callable[..., Path],
) -> None:
    etc = filesystem("ext4", "etc", 16)
    path = etc / "fstab"
    path.write_text("a b c\n")
    assert fstab_file.fixed(str(path)) == ""
    for target in (path, etc):
        subprocess.run(["chattr", "+i", str(target)], check=True)
        assert fstab_file.fixed(str(path)).endswith(f"'chattr +i' or '+a' on '{target}'")
        subprocess.run(["chattr", "-i", str(target)], check=True)
    subprocess.run(["mount", "-o", "remount,ro", str(etc)], check=True)
    assert fstab_file.fixed(str(path)) == "on a filesystem that is mounted read-only"
