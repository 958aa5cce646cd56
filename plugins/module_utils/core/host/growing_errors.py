# SPDX-License-Identifier: GPL-3.0-or-later
"""Refusal 194: of growing a filesystem; see errors.py."""

from __future__ import annotations

from .errors import Refusal


class NotGrown(Refusal):
    code = "AH194"
    sentence = (
        "the filesystem at {mount_point} could not be grown to {device} ({found}); it works as it is: see AH194 in "
        "docs/errors.md, or set disks_grow: false to leave it"
    )
