# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's record: which disks are its own. It is written before a disk is formatted."""

from __future__ import annotations

import json
import os
from typing import Any

from ..core.disks import RECORD_FORMAT
from ..core.errors import NewerFormat
from . import durable

PATH = "/var/lib/agnes-host/record.json"


def load() -> dict[str, Any]:
    """The record, or an empty one. Raises NewerFormat for one that this version can't read."""
    text = durable.read_text(PATH)
    if text is None:
        return {"format": RECORD_FORMAT, "disks": {}}
    record: dict[str, Any] = json.loads(text)
    if record.get("format") != RECORD_FORMAT:
        raise NewerFormat(path=PATH, found=record.get("format"), known=RECORD_FORMAT)
    return record


def save(record: dict[str, Any]) -> None:
    """Write the record durably; root's only."""
    durable.make_directory(os.path.dirname(PATH), 0o700)
    durable.write(PATH, json.dumps(record, indent=2, sort_keys=True) + "\n", 0o600)


def boot_id() -> str:
    """This boot's id: a device without a serial is only the same device within one boot."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()
