# SPDX-License-Identifier: GPL-3.0-or-later
"""Making printable text of what came from a host: names in its filesystems may have any bytes.

Python reads a byte that is not UTF-8 as a lone surrogate, so that it can be written back as
it came. No JSON may hold one: Ansible can't read the answer of a module that does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

_ODD = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters but tab and newline
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # what turns the direction of text
    "\u2028\u2029\ud800-\udfff]"
)


def _escape(match: re.Match[str]) -> str:
    char = ord(match[0])
    if char < 0x80:
        return f"\\x{char:02x}"
    # A byte that is not UTF-8, as the escape of a byte.
    return f"\\x{char - 0xDC00:02x}" if 0xDC80 <= char <= 0xDCFF else f"\\u{char:04x}"


def shown(text: str) -> str:
    r"""``text`` for output: a byte that is not UTF-8 as ``\xff``, a control character as its escape.

    Lines and tabs stay. Text that is fine already stays as it is, so it may be called twice.
    """
    return _ODD.sub(_escape, text)


def say_size(number: int) -> str:
    """A number of bytes, for people: rounded down, or a disk that is too small might read as if it were not."""
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if number >= size:
            return f"{number * 10 // size / 10:g} {unit}"
    return f"{number} bytes"


def clean(value: Any) -> Any:
    """A value of plain data with ``shown`` for every text in it, keys too."""
    if isinstance(value, str):
        return shown(value)
    if isinstance(value, Mapping):
        return {clean(key): clean(each) for key, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [clean(each) for each in value]
    return value


HIDDEN = "(hidden)"
"""What is shown in place of a secret's value."""
_SHORTEST = 4
"""Shorter values are not hidden: they would be found inside of other words."""


def hide(text: str, secrets: Iterable[str]) -> str:
    """``text`` without any of ``secrets``; the longest first, because one may be in another."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST:
            text = text.replace(secret, HIDDEN)
    return text
