# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading and changing ``.env`` so that all its readers agree.

The product's scripts take the first ``KEY=`` line, Compose takes the last one
and expands ``$``. So there must be one plain line for each key that we write.
Nothing is ever evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from .errors import EnvValueUnsafe

_LINE = re.compile(r"^(?P<export>\s*export\s+)?(?P<key>[A-Za-z_][A-Za-z0-9_]*)=(?P<value>.*)$")
_LOOSE_LINE = re.compile(
    r"^\s*(export\s+)?(?P<key>[A-Za-z_][A-Za-z0-9_]*)\s*=(?P<value>.*)$", re.DOTALL
)
"""What Compose takes for an assignment, though the product's scripts may not."""
_SAFE_VALUE = re.compile(r"[A-Za-z0-9_./:,@%+= -]*")

PLAIN_KEYS = (
    "DATA_DIR",
    "STATE_DIR",
    "COMPOSE_FILE",
    "COMPOSE_PROFILES",
    "AGNES_IMAGE",
    "AGNES_TAG",
    "AGNES_TEMP_DIR",
    "AGNES_TLS_FULLCHAIN_PATH",
    "DOMAIN",
    "DOMAIN_ALIAS",
    "CADDY_TLS",
    "TLS_MODE",
    "LOG_LEVEL",
    "SERVER_URL",
)
"""Keys whose values may be shown; every other value is treated as a secret."""

HIDDEN = "(hidden)"
"""What is shown in place of a secret's value."""


def _unquote(value: str) -> str:
    value = value.strip()
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1]
    return value


def assignments(text: str) -> list[tuple[int, str, str]]:
    """Every assignment as (line number from 1, key, unquoted value), in order."""
    found = []
    for number, line in enumerate(text.split("\n"), start=1):
        match = _LINE.match(line.rstrip("\r"))
        if match:
            found.append((number, match["key"], _unquote(match["value"])))
    return found


def read(text: str) -> dict[str, str]:
    """The values as the product's scripts read them: the first line of a key wins."""
    values: dict[str, str] = {}
    for _number, key, value in assignments(text):
        values.setdefault(key, value)
    return values


def plain(values: Mapping[str, str]) -> dict[str, str]:
    """Only what may be shown."""
    return {key: values[key] for key in PLAIN_KEYS if key in values}


def _bad_characters(value: str) -> str:
    """The characters that readers take differently, for a message."""
    return " ".join(repr(char) for char in sorted(set(re.sub(_SAFE_VALUE.pattern[:-1], "", value))))


def _misread(line: str, key: str) -> str:
    """Why the readers take a line for ``key`` differently, for a message; empty when they agree."""
    value = line.partition("=")[2]
    if not line.startswith(f"{key}="):
        return f"{key} does not start the line, so the product's scripts do not see it"
    if value.endswith("\r"):
        return (
            f"{key} ends with a carriage return, which the product's scripts take for a part of it"
        )
    bad = _bad_characters(_unquote(value))
    return (
        f"{key} holds {bad}, which the product's scripts and Compose read differently"
        if bad
        else ""
    )


def trouble(text: str, keys: Iterable[str]) -> list[tuple[int, str]]:
    """(line number, what) for each line of ``keys`` that is not one plain ``KEY=value``.

    A key that is set again to the same value is no trouble: all readers agree.
    """
    first: dict[str, str] = {}
    wanted = set(keys)
    found = []
    for number, line in enumerate(text.split("\n"), start=1):
        match = _LOOSE_LINE.match(line)
        if match is None or match["key"] not in wanted:
            continue
        key, value = match["key"], _unquote(match["value"])
        what = _misread(line, key)
        if not what and first.setdefault(key, value) != value:
            what = f"{key} is set again, to another value"
        if what:
            found.append((number, what))
    return found


def check_value(key: str, value: str) -> None:
    """Raise EnvValueUnsafe unless every reader takes ``value`` as it stands."""
    bad = _bad_characters(value) or ("spaces at an end" if value != value.strip() else "")
    if bad:
        raise EnvValueUnsafe(key=key, found=bad)


def _line(key: str, value: str) -> str:
    """One plain line; quotes only where a space needs them, which all readers take off."""
    return f'{key}="{value}"' if " " in value else f"{key}={value}"


def upsert(text: str, values: Mapping[str, str]) -> str:
    """``text`` with one plain line for each of ``values``, changed in place.

    Other lines, their order and comments stay byte for byte; a key that is new
    goes to the end. The result ends with a newline when it changed.
    Raises EnvValueUnsafe for a value that the readers would read differently.
    """
    for key, value in values.items():
        check_value(key, value)
    pending = dict(values)
    result = []
    for line in text.split("\n"):
        match = _LINE.match(line.rstrip("\r"))
        key = match["key"] if match else ""
        if match is None or key not in values:
            result.append(line)
        elif key in pending:
            wanted = pending.pop(key)
            same = _unquote(match["value"]) == wanted and not _misread(line, key)
            result.append(line if same else _line(key, wanted))
    if pending:
        while result and result[-1] == "":
            result.pop()
        result += [_line(key, value) for key, value in pending.items()] + [""]
    return "\n".join(result)


def shown(text: str) -> str:
    """``text`` for a diff: comments dropped, every value hidden that may be a secret."""
    lines = []
    for _number, key, value in assignments(text):
        lines.append(f"{key}={value if key in PLAIN_KEYS else HIDDEN}")
    return "\n".join(lines) + ("\n" if lines else "")
