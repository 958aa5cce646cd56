# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.agnes.host.plugins.module_utils.core.disks import fstab

TODAY = (
    "# /etc/fstab\n"
    "/dev/disk/by-id/google-data /data ext4 discard,defaults,nofail 0 2\n"
    "UUID=1234 /my\\040disk ext4\n"
    "broken line\n"
)


def test_entries_skip_comments_and_broken_lines() -> None:
    entries = fstab.entries(TODAY)
    assert [(entry.line, entry.mount_point) for entry in entries] == [(2, "/data"), (3, "/my disk")]
    assert entries[0].options == ("discard", "defaults", "nofail")
    assert entries[1].options == ("defaults",)


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


WORDS = st.text(st.sampled_from("aU=/#\\040-é,"), min_size=1, max_size=8)
GAPS = st.sampled_from([" ", "\t", "  \t"])
FOREIGN_LINES = st.one_of(
    st.builds(lambda gap, *words: gap.join(words), GAPS, WORDS, WORDS, WORDS, WORDS),
    st.builds("# {}".format, WORDS),
    st.sampled_from(["", "   ", "\t", "one", "tmpfs /tmp tmpfs size=1G 0 0", "x /y z\r"]),
)


@given(st.lists(FOREIGN_LINES), st.sampled_from(["", "\n"]))
def test_with_line_adds_one_line_at_the_end_and_foreign_lines_stay(
    lines: list[str], end: str
) -> None:
    text = "\n".join(lines) + end
    line = fstab.line_for("state", "u-1", "/mnt-of-test", "ext4")
    after = fstab.with_line(text, line)
    kept = text.split("\n")
    if kept[-1] == "":
        kept.pop()
    assert after.split("\n") == [*kept, line, ""]
    assert fstab.entries(after)[:-1] == fstab.entries(text)
    assert fstab.entries(after)[-1].tag == "state"


@given(st.lists(FOREIGN_LINES), st.sampled_from(["/data", "/data-state"]))
def test_with_line_leaves_a_file_alone_that_has_the_mount_point(
    lines: list[str], point: str
) -> None:
    text = "\n".join([*lines, f"UUID=other\t{point}  xfs"])
    assert fstab.with_line(text, fstab.line_for("data", "u-1", point, "ext4")) == text


TEST_AT: list[tuple[str, str, int | None]] = [
    ("UUID=1 /data ext4 defaults 0 2\n", "/data", 1),
    ("# UUID=1 /data ext4\n", "/data", None),
    ("#UUID=1 /data ext4\n", "/data", None),
    ("  # x /data ext4\n", "/data", None),
    ("UUID=1 /data-state ext4\n", "/data", None),
    ("UUID=1 /data/state ext4\n", "/data", None),
    ("\n\nUUID=1 /data ext4\nUUID=2 /data ext4\n", "/data", 3),
    ("UUID=1 /data\n", "/data", None),
    ("\tUUID=1\t/data\text4", "/data", 1),
    ("UUID=1 /d\\141ta ext4", "/data", 1),
]


@pytest.mark.parametrize(("text", "point", "line"), TEST_AT)
def test_at(text: str, point: str, line: int | None) -> None:
    entry = fstab.at(text, point)
    assert (entry.line if entry else None) == line


@pytest.mark.parametrize(
    ("options", "tag"),
    [
        ("defaults", None),
        ("defaults,x-agnes.host=data", "data"),
        ("x-agnes.hosting=data", None),
        ("x-agnes.host", None),
    ],
)
def test_tag(options: str, tag: str | None) -> None:
    assert fstab.entries(f"UUID=1 /data ext4 {options} 0 2\n")[0].tag == tag


@given(st.sampled_from(["data", "state"]), st.sampled_from(["ext4", "xfs"]), st.uuids().map(str))
def test_a_line_of_ours_reads_back(role: str, fstype: str, uuid: str) -> None:
    (entry,) = fstab.entries(fstab.line_for(role, uuid, "/data", fstype))
    assert (entry.tag, entry.spec, entry.mount_point, entry.fstype) == (
        role, f"UUID={uuid}", "/data", fstype,
    )  # fmt: skip
    assert "nofail" in entry.options
    assert "x-systemd.before=docker.service" in entry.options


def test_a_mount_point_with_a_slash_at_its_end_is_the_same() -> None:
    text = "UUID=other /data/ ext4 defaults 0 2\n"
    assert fstab.with_line(text, fstab.line_for("data", "u-1", "/data", "ext4")) == text


def test_only_a_newline_ends_a_line() -> None:
    assert [entry.line for entry in fstab.entries("A=\x0c1 /a ext4\nB=2 /b ext4\n")][-1] == 2


TEST_POINTS: list[tuple[str, str]] = [
    ("/data", "/data"), ("/data/", "/data"), ("//data///state//", "/data/state"), ("/", "/"),
    ("/data/./state", "/data/state"), ("/srv/../data", "/data"), ("none", "none"),
    ('"/data"', '"/data"'), ("/my\\040disk/", "/my disk"), ("/data\\011", "/data\t"),
    ("/caf\\303\\251", "/caf\u00e9"), ("/x\\377", "/x\udcff"), ("/x\\777", "/x\\777"),
]  # fmt: skip


@pytest.mark.parametrize(("written", "point"), TEST_POINTS)
def test_a_mount_point_is_compared_as_libmount_does(written: str, point: str) -> None:
    assert [e.mount_point for e in fstab.entries(f" \t/dev/x \t {written}\t\text4")] == [point]


def test_a_carriage_return_ends_no_option_and_no_newline_is_needed() -> None:
    entries = fstab.entries("UUID=1 /a ext4 nofail\r\n  # c\n/dev/x /b xfs")
    assert [(e.line, e.mount_point, e.options) for e in entries] == [
        (1, "/a", ("nofail",)),
        (3, "/b", ("defaults",)),
    ]


TEST_SPECS: list[tuple[str, bool]] = [
    ("UUID=ab-1", True), ("UUID=AB-1", True), ('UUID="ab-1"', True), ("UUID='AB-1'", True),
    ("/dev/disk/by-uuid/ab-1", True), ("UUID=ab-12", False), ("LABEL=ab-1", False),
    ("PARTUUID=ab-1", False), ("/dev/ab-1", False), ('UUID="ab-1', False), ("UUID=", False),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "same"), TEST_SPECS)
def test_a_spec_that_names_a_uuid(spec: str, same: bool) -> None:
    assert fstab.names_uuid(spec, "ab-1") is same
    assert not fstab.names_uuid(spec, "")


def test_lines_end_with_a_newline_and_nothing_else() -> None:
    text = "# a\x0cb\u2028c\n\n/dev/x /b xfs"
    assert fstab.lines(text) == ["# a\x0cb\u2028c\n", "\n", "/dev/x /b xfs"]
    assert fstab.lines("") == []


def test_another_filesystem_takes_a_line_and_all_else_stays_byte_for_byte() -> None:
    text = "# a\r\n\tLABEL=x \t/b  ext4 noatime 0 2 \r\nUUID=1 /c xfs"
    entries = fstab.entries(text)
    assert fstab.with_filesystem(text, entries[0], "9", "xfs") == (
        "# a\r\n\tUUID=9 \t/b  xfs noatime 0 2 \r\nUUID=1 /c xfs"
    )
    assert fstab.with_filesystem(text, entries[1], "9", "ext4").endswith("\r\nUUID=9 /c ext4")
