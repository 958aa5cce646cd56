# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's record: which disks are its own. It is written before a disk is formatted."""

from __future__ import annotations

import json
import os
from typing import Any

from ...core.disks.disks import RECORD_FORMAT, check_record
from ...core.disks.disks import RECORD_PATH as PATH
from . import durable


def read() -> dict[str, Any]:
    """The record as it is, or an empty one; one that can't be read says why in ``error``."""
    return durable.read_object(PATH, {"format": RECORD_FORMAT, "disks": {}})


def load() -> dict[str, Any]:
    """The record. Raises a Refusal for one that this version can't read."""
    record = read()
    check_record(record)
    return record


def save(record: dict[str, Any]) -> None:
    """Write the record durably; root's only."""
    durable.make_directory(os.path.dirname(PATH), 0o700)
    durable.write(PATH, json.dumps(record, indent=2, sort_keys=True) + "\n", 0o600)


def boot_id() -> str:
    """This boot's id: a device without a serial is only the same device within one boot."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()
