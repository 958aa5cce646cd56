# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import inspect
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.agnes.host.plugins.module_utils.core.disks.disks import (
    DiskPlan,
    Request,
    plan_disks,
)
from ansible_collections.agnes.host.plugins.module_utils.core.host.errors import (
    ReadOnlyDevice,
    Refusal,
)
from ansible_collections.agnes.host.plugins.module_utils.core.host.facts import Host
from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import LAYOUTS
from ansible_collections.agnes.host.plugins.modules import disks as module

from .hosts import (
    GIB,
    STATE,
    device,
    ext4,
    flat_host,
    host,
    mount,
    nested_host,
    one_disk_host,
    place,
)

MINIMUM = {"data": 10.0, "state": 4.0}
REQUEST = Request(min_gib=MINIMUM)


def recorded(role: str, **disk: Any) -> dict[str, Any]:
    return {"format": 1, "disks": {role: disk}}


CUT_SHORT = {
    "phase": "formatting",
    "uuid": "u-new",
    "size": 16 * GIB,
    "identity": "none",
    "lost": "",
    "maj_min": "8:16",
    "boot_id": "boot-1",
}
HALF_MADE = device("/dev/sdb", zeros=False)

TEST_ACTIONS: list[Any] = [
    pytest.param(host(), "flat", ["format /data", "format /data-state"], id="fresh-flat"),
    pytest.param(host(), "nested", ["format /data", "format /data/state"], id="fresh-nested"),
    pytest.param(flat_host(), "flat", ["adopt /data", "adopt /data-state"], id="flat-again"),
    pytest.param(nested_host(), "nested", ["adopt /data", "adopt /data/state"], id="nested-again"),
    pytest.param(
        one_disk_host(), "nested", ["adopt /data", "directory /data/state"], id="today-one-disk"
    ),
    pytest.param(
        one_disk_host(
            devices=[ext4("/dev/sdb", "u-data"), device("/dev/sdc")], asked=host()["asked"]
        ),
        "nested", ["adopt /data", "directory /data/state"],
        id="a-blank-disk-never-shadows-a-directory-with-state",
    ),
    pytest.param(
        host(asked={**host()["asked"], "state": {"device": "", "problem": "", "maj_min": ""}}),
        "nested", ["format /data", "directory /data/state"], id="fresh-nested-without-state-disk",
    ),
    pytest.param(
        host(
            devices=[ext4("/dev/sdb", "u-1"), device("/dev/sdc")],
            record=recorded("data", uuid="u-1", phase="formatted"),
        ),
        "flat", ["mount /data", "format /data-state"], id="killed-before-the-mount",
    ),
    pytest.param(
        host(
            devices=[device("/dev/sdb"), ext4("/dev/sdc", "u-1")],
            record=recorded("data", uuid="u-1", phase="formatted"),
            asked={
                "data": {"device": "/dev/sdb", "problem": "", "maj_min": "8:16"},
                "state": {"device": "/dev/sdb", "problem": "", "maj_min": "8:48"},
            },
        ),
        "flat", "AH020: disks_state_device names '/dev/sdb', which is no disk this host shows; "
        "the disks here are /dev/sdb (16 GiB), /dev/sdc (16 GiB)", id="device-that-is-not-shown",
    ),
    pytest.param(
        host(devices=[HALF_MADE, device("/dev/sdc")], record=recorded("data", **CUT_SHORT)),
        "flat", ["format /data", "format /data-state"], id="killed-inside-mkfs",
    ),
    pytest.param(
        host(
            devices=[ext4("/dev/sdb", "u-new"), device("/dev/sdc")],
            record=recorded("data", **CUT_SHORT),
        ),
        "flat", ["format /data", "format /data-state"], id="killed-at-the-end-of-mkfs",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("observed", "layout", "expected"), TEST_ACTIONS)
def test_plan_disks(observed: Host, layout: str, expected: Any) -> None:
    if isinstance(expected, str):
        with pytest.raises(Refusal) as refused:
            plan_disks(observed, LAYOUTS[layout], REQUEST)
        assert str(refused.value) == expected
        return
    plans = plan_disks(observed, LAYOUTS[layout], REQUEST)
    assert [f"{plan.action} {plan.mount_point}" for plan in plans] == expected


def test_a_cut_short_format_keeps_its_uuid() -> None:
    observed = host(devices=[HALF_MADE, device("/dev/sdc")], record=recorded("data", **CUT_SHORT))
    assert plan_disks(observed, LAYOUTS["flat"])[0].uuid == "u-new"


def with_data(disk: Any, **differs: Any) -> Host:
    return host(devices=[disk, device("/dev/sdc")], **differs)


BLANK = (
    "AH022: refusing to format '/dev/sdb' for /data: it is not proved blank, found {}; attach a "
    "blank disk, or {}"
)


def lose(lost: str) -> str:
    return (
        "to lose what is on it set disks_format: "
        f'[{{"device": "/dev/sdb", "identity": "none", "found": "{lost}"}}]'
    )


NO_FORMAT = "bytes that are not zero, of no known format"
ADOPT_ELSE = "to mount it unchanged set disks_adopt: [u-else], or "
ADOPT = "to mount it unchanged set disks_adopt: [u-1], or "

TEST_REFUSALS: list[Any] = [
    pytest.param(
        with_data(ext4("/dev/sdb", "u-1")), "flat", BLANK.format("ext4", ADOPT + lose("ext4")), id="filesystem"
    ),
    pytest.param(
        with_data(device(signatures=["dos"], partitions=["sdb1"])), "flat",
        BLANK.format("dos, partitions sdb1", lose("dos, partitions sdb1")), id="partitions",
    ),
    pytest.param(
        with_data(device(holders=["dm-0"], exclusive=False)), "flat",
        BLANK.format("in use by dm-0", "free it first"), id="holder",
    ),
    pytest.param(
        with_data(device(exclusive=False)), "flat",
        BLANK.format("something that keeps it open", "free it first"), id="open",
    ),
    pytest.param(
        with_data(device(zeros=False)), "flat",
        BLANK.format(NO_FORMAT, lose(NO_FORMAT)), id="random-bytes",
    ),
    pytest.param(
        with_data(HALF_MADE, record=recorded("data", **{**CUT_SHORT, "boot_id": "boot-0"})),
        "flat", BLANK.format(NO_FORMAT, lose(NO_FORMAT)),
        id="half-made-in-another-boot-without-serial",
    ),
    pytest.param(
        with_data(HALF_MADE, record=recorded("data", **{**CUT_SHORT, "size": GIB})),
        "flat", BLANK.format(NO_FORMAT, lose(NO_FORMAT)),
        id="half-made-on-a-disk-of-another-size",
    ),
    pytest.param(
        with_data(ext4("/dev/sdb", "u-else"), record=recorded("data", **CUT_SHORT)),
        "flat", BLANK.format("ext4", ADOPT_ELSE + lose("ext4")), id="foreign-filesystem-on-a-half-made-disk",
    ),
    pytest.param(
        with_data(device(size=8 * GIB)), "flat",
        "AH025: '/dev/sdb' for /data is too small (found 8 GiB, wanted at least 10 GiB); attach a "
        "larger disk, or lower disks_data_min_gib", id="too-small",
    ),
    pytest.param(
        with_data(device(read_only=True)), "flat",
        "AH030: '/dev/sdb' for /data is read-only; attach it read-write, or, if it was mounted so after an error "
        "('journalctl -k'), unmount it and check its filesystem first", id="read-only",
    ),
    pytest.param(
        with_data(device(kind="part")), "flat",
        "AH024: disks_data_device names '/dev/sdb', which is a part; only whole disks are "
        "formatted: name the disk", id="partition",
    ),
    pytest.param(
        with_data(ext4("/dev/sdb", "u-1"), mounts=[mount("/", "8:16")]), "flat",
        "AH023: disks_data_device names '/dev/sdb', which holds the mounted /; name another disk",
        id="root-disk",
    ),
    pytest.param(
        host(asked={**host()["asked"], "state": host()["asked"]["data"]}), "flat",
        "AH021: disks_data_device and disks_state_device are the same disk ('/dev/sdb' and "
        "'/dev/sdb' are 8:16); name two disks", id="same-disk",
    ),
    pytest.param(
        one_disk_host(state={"/data/state": place("absent"), "/data-state": place("absent")}),
        "flat",
        "AH020: disks_state_device names '/dev/sdc', which does not exist; the disks here are "
        "/dev/sdb (16 GiB)", id="no-such-device",
    ),
    pytest.param(
        host(asked={**host()["asked"], "state": {"device": "", "problem": "", "maj_min": ""}}),
        "flat",
        "AH026: layout flat needs a state disk of its own, and disks_state_device is not set; "
        "attach a disk and name it there", id="flat-without-a-state-disk",
    ),
    pytest.param(
        flat_host(record=recorded("state", uuid="u-old", phase="formatted")), "flat",
        "AH027: '/data-state' has filesystem u-state mounted, this host's record says u-old; mount "
        "the right disk, or find out why it changed; if it was meant, "
        "'agnes-host rebind --state UUID --because replaced' takes the one that is mounted", id="another-disk-mounted",
    ),
    pytest.param(
        flat_host(mounts=[*flat_host()["mounts"], mount("/data/state", "8:64")]), "flat",
        "AH028: '/data/state' is a mount point, which layout flat must not have; unmount it and "
        "take it out of /etc/fstab", id="mounted-where-flat-has-a-link",
    ),
    pytest.param(
        host(mount_points={"/data": STATE}), "flat",
        "AH029: '/data' is not mounted but holds files, which a mount would shadow (found certs, "
        "system.duckdb); move them to the disk, or aside", id="files-in-the-unmounted-mount-point",
    ),
    pytest.param(
        host(
            fstab=[{"line": 4, "mount_point": "/data", "spec": "UUID=gone", "maj_min": ""}]
        ), "flat",
        "AH031: /etc/fstab line 4 already gives '/data' to 'UUID=gone', which is not mounted; mount "
        "it, or take the line out", id="fstab-line-of-another",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("observed", "layout", "message"), TEST_REFUSALS)
def test_plan_disks_refuses(observed: Host, layout: str, message: str) -> None:
    with pytest.raises(Refusal) as refused:
        plan_disks(observed, LAYOUTS[layout], REQUEST)
    assert str(refused.value) == message


DEVICES = st.builds(
    device,
    path=st.sampled_from(["/dev/sdb", "/dev/sdc"]),
    kind=st.sampled_from(["disk", "loop", "part", "dm", "rom"]),
    size=st.integers(0, 64 * GIB),
    signatures=st.lists(st.sampled_from(["ext4", "LVM2_member", "gpt"]), max_size=2),
    partitions=st.lists(st.just("sdb1"), max_size=1),
    holders=st.lists(st.just("dm-0"), max_size=1),
    exclusive=st.booleans(),
    zeros=st.booleans(),
    read_only=st.booleans(),
)


@given(
    st.lists(DEVICES, max_size=3, unique_by=lambda item: item["path"]), st.sampled_from([*LAYOUTS])
)
def test_what_is_formatted_is_always_proved_blank(known: list[Any], layout: str) -> None:
    try:
        plans = plan_disks(host(devices=known), LAYOUTS[layout], REQUEST)
    except Refusal:
        return
    for plan in plans:
        if plan.action == "format":
            (chosen,) = [item for item in known if item["path"] == plan.device]
            assert not chosen["signatures"] and not chosen["partitions"] and not chosen["holders"]
            assert chosen["exclusive"] and chosen["zeros"] and not chosen["read_only"]
            assert chosen["kind"] in ("disk", "loop")
            assert chosen["size"] >= MINIMUM[plan.role] * GIB


GONE = recorded("state", uuid="u-gone", phase="formatted", size=8 * GIB, mount_point="/data-state")
UNMOUNTED = {"/data/state": place("link", target="/data-state"), "/data-state": place()}

TEST_MISSING: list[Any] = [
    pytest.param(
        host(record=GONE, state=UNMOUNTED),
        "AH035: this host's state disk (UUID u-gone, 8 GiB) is not on this host, so nothing is "
        "formatted or mounted in its place at /data-state; attach it again; if another disk has its content now, "
        "'agnes-host rebind --state UUID --because replaced' takes that one; if it is lost for good, "
        "move /var/lib/agnes-host/record.json aside and take its line out of /etc/fstab", id="a-blank-one-has-its-name",
    ),
    pytest.param(
        host(
            record=GONE, state=UNMOUNTED,
            devices=[device("/dev/sdb"), ext4("/dev/sdc", "u-gone"), ext4("/dev/sdd", "u-gone")],
        ),
        "AH035: this host's state disk (UUID u-gone, 8 GiB) is on 2 devices (/dev/sdc, /dev/sdd), so "
        "nothing is formatted or mounted in its place at /data-state; attach it again; if another disk has its "
        "content now, 'agnes-host rebind --state UUID --because replaced' takes that one; if it is lost for good, "
        "move /var/lib/agnes-host/record.json aside and take its line out of /etc/fstab", id="cloned",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("observed", "message"), TEST_MISSING)
def test_no_disk_takes_the_place_of_one_that_is_missing(observed: Host, message: str) -> None:
    with pytest.raises(Refusal) as refused:
        plan_disks(observed, LAYOUTS["flat"], REQUEST)
    assert str(refused.value) == message


def test_state_does_not_become_a_directory_while_its_disk_is_missing() -> None:
    asked = {**host()["asked"], "state": {"device": "", "problem": "", "maj_min": ""}}
    with pytest.raises(Refusal, match="AH035"):
        plan_disks(host(record=GONE, asked=asked), LAYOUTS["nested"], REQUEST)


def test_a_disk_that_is_found_by_its_uuid_is_noted_when_another_was_named() -> None:
    observed = flat_host()
    observed["asked"]["data"] = {"device": "/dev/sdx", "problem": "does not exist", "maj_min": ""}
    assert plan_disks(observed, LAYOUTS["flat"], REQUEST)[0].notes == (
        "disks_data_device names '/dev/sdx', which does not exist; /dev/sdX, this host's own, is kept "
        "for /data",
    )


def test_disks_that_are_named_as_another_boot_named_them_stay_in_their_places() -> None:
    observed = flat_host()
    asked = observed["asked"]
    for role, other in (("data", "state"), ("state", "data")):
        there = next(m for m in observed["mounts"] if m["target"] == LAYOUTS["flat"].mounts[other])
        asked[role] = {"device": f"/dev/of-{other}", "problem": "", "maj_min": there["maj_min"]}
    planned = plan_disks(observed, LAYOUTS["flat"], REQUEST)
    assert [(disk.action, disk.mount_point, disk.uuid) for disk in planned] == [
        (disk.action, disk.mount_point, disk.uuid)
        for disk in plan_disks(flat_host(), LAYOUTS["flat"], REQUEST)
    ]
    assert [disk.notes for disk in planned] == [
        ("disks_data_device names '/dev/of-state'; /dev/sdX, this host's own, is kept for /data",),
        ("disks_state_device names '/dev/of-data'; /dev/sdX, this host's own, is kept for /data-state",),
    ]  # fmt: skip


def test_what_the_module_takes_of_a_disk_is_in_its_plan() -> None:
    """A plan reaches the host as plain data, in which nothing else finds a wrong name."""
    taken = set(re.findall(r"\bdisk\[\"(\w+)\"\]", inspect.getsource(module)))
    assert "mount_point" in taken
    assert taken <= set(DiskPlan("data", "mount", "/data").as_dict())


@pytest.mark.parametrize("device", ["mounted", "attached"])
def test_a_disk_that_can_only_be_read_is_refused_before_it_is_used(device: str) -> None:
    host = flat_host(read_only=["/data-state"])
    if device == "attached":
        host = flat_host(
            mounts=flat_host()["mounts"][:1],
            record={"format": 1, "disks": {"state": {"uuid": "u-state", "phase": "formatted"}}},
            state=UNMOUNTED,
        )
        host["devices"][1]["read_only"] = True
    with pytest.raises(ReadOnlyDevice):
        plan_disks(host, LAYOUTS["flat"], REQUEST)
