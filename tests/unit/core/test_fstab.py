# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.agnes.host.plugins.module_utils.core import fstab

TODAY = (
    "# /etc/fstab\n"
    "/dev/disk/by-id/google-data /data ext4 discard,defaults,nofail 0 2\n"
    "UUID=1234 /my\\040disk ext4\n"
    "broken line\n"
)


def test_entries_skip_comments_and_broken_lines() -> None:
    found = fstab.entries(TODAY)
    assert [(entry.line, entry.mount_point) for entry in found] == [(2, "/data"), (3, "/my disk")]
    assert found[0].options == ("discard", "defaults", "nofail")
    assert found[1].options == ("defaults",)


def test_our_line_is_by_uuid_ordered_before_docker_and_tagged() -> None:
    line = fstab.line_for("state", "u-1", "/mnt", "ext4")
    assert line == (
        "UUID=u-1 /mnt ext4 defaults,nofail,x-systemd.device-timeout=30s,"
        "x-systemd.before=docker.service,x-agnes.host=state 0 2"
    )
    assert fstab.entries(line)[0].tag == "state"
    assert fstab.line_for("data", "u-1", "/mnt", "xfs").endswith(" 0 0")


def test_with_line_keeps_a_line_that_has_the_mount_point() -> None:
    assert fstab.with_line(TODAY, fstab.line_for("data", "u-1", "/data", "ext4")) == TODAY


@given(
    st.text(st.characters(exclude_characters="\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"), max_size=80)
)
def test_with_line_keeps_every_other_byte_and_is_idempotent(text: str) -> None:
    line = fstab.line_for("data", "u-1", "/mnt-of-test", "ext4")
    after = fstab.with_line(text, line)
    assert after.startswith(text)
    assert fstab.at(after, "/mnt-of-test") is not None
    assert fstab.with_line(after, line) == after
