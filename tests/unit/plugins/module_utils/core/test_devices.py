# SPDX-License-Identifier: GPL-3.0-or-later
"""Names, identities and consents: which disk is meant, and what may be lost."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.disks.devices import (
    carriers,
    identity_of,
    mounts_on,
    not_one,
    only_ours,
    was_spent,
)
from ansible_collections.agnes.host.plugins.module_utils.core.disks.disks import Request, plan_disks
from ansible_collections.agnes.host.plugins.module_utils.core.host.errors import Refusal
from ansible_collections.agnes.host.plugins.module_utils.core.host.facts import Host
from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import LAYOUTS

from .hosts import device, ext4, host, mount

SDC = device("/dev/sdc", serial="S2")

TEST_IDENTITIES: list[Any] = [
    pytest.param(device(serial="S1"), "serial:S1", id="serial"),
    pytest.param(device(serial="S2"), "none", id="serial-of-another"),
    pytest.param(device(serial="S2", wwn="W1"), "wwn:W1", id="wwn-where-serials-are-alike"),
    pytest.param(device(serial="sdb", by_path="pci-1"), "path:pci-1", id="serial-is-the-name"),
    pytest.param(device(kind="loop"), "none", id="loop"),
]


@pytest.mark.parametrize(("disk", "expected"), TEST_IDENTITIES)
def test_identity(disk: Any, expected: str) -> None:
    assert identity_of(disk, [disk, SDC]) == expected


KNOWN = [
    ext4("/dev/sdb", "u-1", serial="S1"),
    ext4("/dev/sdc", "u-2", serial="S2"),
    ext4("/dev/sdd", "u-2", serial="S2"),
    device("/dev/sde", filesystem={"type": "ext4", "uuid": "u-4", "label": "My Data"}),
]

TEST_NAMES: list[Any] = [
    ("UUID=u-1", ["/dev/sdb"], ""),
    ("UUID=U-1", ["/dev/sdb"], ""),
    ('UUID="u-1"', ["/dev/sdb"], ""),
    ("LABEL=My Data", ["/dev/sde"], ""),
    ('LABEL="My Data"', ["/dev/sde"], ""),
    ("LABEL=my data", [], "no disk carries"),
    ("UUID=u-2", ["/dev/sdc", "/dev/sdd"], "2 devices carry (/dev/sdc, /dev/sdd)"),
    ("UUID=u-3", [], "no disk carries"),
    ("UUID=", [], "no disk carries"),
    ("LABEL=none", [], "no disk carries"),
    ("S1", ["/dev/sdb"], ""),
    ("SERIAL=S1", ["/dev/sdb"], ""),
    ("S2", ["/dev/sdc", "/dev/sdd"], "2 devices carry (/dev/sdc, /dev/sdd)"),
]


@pytest.mark.parametrize(("named", "paths", "wrong"), TEST_NAMES)
def test_a_name_means_exactly_one_device(named: str, paths: list[str], wrong: str) -> None:
    matches = carriers(named, KNOWN)
    assert [item["path"] for item in matches] == paths
    assert not_one(named, matches) == wrong


def test_what_is_mounted_is_found_through_partitions_and_what_is_stacked_on_them() -> None:
    disk = device("/dev/sdb", partitions=["sdb1"])
    part = device("/dev/sdb1", maj_min="8:17", kernel_name="sdb1", kind="part", holders=["dm-0"])
    volume = device("/dev/dm-0", maj_min="253:0", kernel_name="dm-0", kind="dm")
    observed = host(devices=[disk, part, volume], mounts=[mount("/", "253:0")])
    assert mounts_on(observed, disk) == ["/"]


def with_data(disk: Any, **differs: Any) -> Host:
    return host(devices=[disk, device("/dev/sdc")], **differs)


CONSENT = {"device": "/dev/sdb", "identity": "none", "found": "ext4"}


def test_an_existing_filesystem_is_mounted_unchanged_by_consent() -> None:
    plans = plan_disks(with_data(ext4("/dev/sdb", "u-1")), LAYOUTS["flat"], Request(adopt=["u-1"]))
    assert (plans[0].action, plans[0].uuid, plans[0].fstype) == ("mount", "u-1", "ext4")


def test_a_disk_is_formatted_by_consent_and_the_plan_says_what_is_lost() -> None:
    plan = plan_disks(
        with_data(ext4("/dev/sdb", "u-1")), LAYOUTS["flat"], Request(format=[CONSENT])
    )[0]
    assert (plan.action, plan.lost) == ("format", "ext4")
    assert plan.sentence == (
        "format /dev/sdb (16 GiB, LOSING ext4, by consent) as ext4 labelled agnes-data and mount it at /data"
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {**CONSENT, "device": "/dev/sdc"},
        {**CONSENT, "identity": "serial:1"},
        {**CONSENT, "found": "xfs"},
    ],
)
def test_consent_for_anything_else_does_not_count(wrong: dict[str, str]) -> None:
    with pytest.raises(Refusal, match=r"^AH022: "):
        plan_disks(with_data(ext4("/dev/sdb", "u-1")), LAYOUTS["flat"], Request(format=[wrong]))


@pytest.mark.parametrize("used", [{"holders": ["dm-0"]}, {"exclusive": False}])
def test_consent_does_not_count_for_a_disk_in_use(used: Any) -> None:
    disk = ext4("/dev/sdb", "u-1", **used)
    consent = {**CONSENT, "found": "ext4, in use by dm-0" if "holders" in used else "ext4"}
    request = Request(format=[consent], adopt=["u-1"])
    with pytest.raises(Refusal, match=r"free it first$"):
        plan_disks(with_data(disk), LAYOUTS["flat"], request)


def test_a_consent_is_spent_once() -> None:
    observed = with_data(
        ext4("/dev/sdb", "u-1"), record={"format": 1, "disks": {}, "spent": [CONSENT]}
    )
    with pytest.raises(Refusal) as refused:
        plan_disks(observed, LAYOUTS["flat"], Request(format=[CONSENT]))
    assert str(refused.value) == (
        "AH033: the consent to format '/dev/sdb' (identity 'none', found ext4) is used up: this host "
        "has formatted the disk once by it; take it out of disks_format, and find out what has written "
        "to the disk since"
    )


def test_a_format_by_consent_that_was_killed_before_mkfs_goes_on() -> None:
    recorded = {
        "phase": "formatting", "uuid": "u-new", "lost": "ext4", "size": device()["size"],
        "identity": "none", "maj_min": "8:16", "boot_id": "boot-1",
    }  # fmt: skip
    record = {"format": 1, "disks": {"data": recorded}, "spent": [CONSENT]}
    plan = plan_disks(with_data(ext4("/dev/sdb", "u-1"), record=record), LAYOUTS["flat"])[0]
    assert (plan.action, plan.uuid, plan.lost) == ("format", "u-new", "ext4")


def test_a_clone_of_a_filesystem_is_not_adopted() -> None:
    observed = host(devices=[ext4("/dev/sdb", "u-1"), ext4("/dev/sdd", "u-1"), device("/dev/sdc")])
    with pytest.raises(Refusal, match=r"^AH022: "):
        plan_disks(observed, LAYOUTS["flat"], Request(adopt=["u-1"]))


TEST_OURS: list[Any] = [
    pytest.param(device(zeros=False), True, id="nothing-that-a-probe-knows"),
    pytest.param(ext4("/dev/sdb", "u-1"), True, id="our-filesystem"),
    pytest.param(ext4("/dev/sdb", "u-2"), False, id="another-filesystem"),
    pytest.param(device(signatures=["gpt"]), False, id="another-signature"),
    pytest.param(device(zeros=False, partitions=["sdb1"]), False, id="partitions"),
    pytest.param(device(zeros=False, holders=["dm-0"]), False, id="held"),
    pytest.param(device(zeros=False, exclusive=False), False, id="open"),
]


@pytest.mark.parametrize(("disk", "ours"), TEST_OURS)
def test_only_ours(disk: Any, ours: bool) -> None:
    assert only_ours(disk, "u-1") is ours


SPENT = [{"device": "/dev/sdb", "identity": "serial:1", "found": "ext4"},
         {"device": "/dev/sdc", "identity": "none", "found": "xfs"}]  # fmt: skip

TEST_SPENT: list[tuple[str, str, str, bool]] = [
    ("/dev/sdb", "serial:1", "ext4", True),
    ("/dev/sdz", "serial:1", "ext4", True),
    ("/dev/sdb", "serial:1", "xfs", False),
    ("/dev/sdb", "serial:2", "ext4", False),
    ("/dev/sdc", "none", "xfs", True),
    ("/dev/sdd", "none", "xfs", False),
]


@pytest.mark.parametrize(("path", "identity", "lost", "spent"), TEST_SPENT)
def test_was_spent(path: str, identity: str, lost: str, spent: bool) -> None:
    assert was_spent(SPENT, path, identity, lost) is spent


@pytest.mark.parametrize(
    ("named", "count"),
    [("S1", 1), ("SERIAL=S1", 1), ("SERIAL=", 0), ("OTHER=S1", 0), ("A=B", 1), ("UUID=", 0)],
)
def test_carriers(named: str, count: int) -> None:
    known = [device(serial="S1"), device("/dev/sdc", serial="A=B"), device("/dev/sdd", kind="part")]
    assert len(carriers(named, known)) == count
