# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading and changing ``.env`` so that all its readers agree.

The product's scripts take the first ``KEY=`` line, Compose takes the last one
and expands ``$``. So there must be one plain line for each key that we write.
Nothing is ever evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from ..host.errors import EnvUnreadable, EnvValueUnsafe
from ..host.text import HIDDEN, hide

_ASSIGNMENT = re.compile(
    r"^\s*(export\s+)?(?P<key>[A-Za-z_][A-Za-z0-9_.\-\[\]]*)\s*[=:](?P<value>.*)$", re.DOTALL
)
"""What Compose takes for an assignment, though the product's scripts may not."""
_READ_DIFFERENTLY = "\"'$`\\"
"""Quotes, which one takes off and the other not, and what Compose expands or unescapes. The
backtick is read alike today; releases of the product before 0.74.53 execute what is in it."""
_COMMENT = re.compile(r"\s#")
_MARK = "\ufeff"
"""A byte order mark, as an editor of Windows leaves it: Compose skips it, the scripts do not."""

PLAIN_KEYS = (
    "DATA_DIR",
    "STATE_DIR",
    "COMPOSE_FILE",
    "COMPOSE_PROFILES",
    "AGNES_IMAGE",
    "AGNES_IMAGE_REPO",
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


def _unquote(value: str) -> str:
    value = value.strip()
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1]
    return value


class _Line(NamedTuple):
    """A line: its number from 1, and the key and raw value if it looks like an assignment."""

    number: int
    text: str
    key: str
    value: str
    inside: bool = False
    """Whether it is a part of a quoted value that began on an earlier line."""
    opens: bool = False
    """Whether its quoted value goes on on the next line."""


def _closes(quote: str, text: str) -> bool:
    return re.search(rf"(?<!\\){quote}", text) is not None


def _lines(text: str) -> Iterator[_Line]:
    quote = ""
    lines = text.split("\n")
    for number, line in enumerate(lines, start=1):
        match = _ASSIGNMENT.match(line)
        key, value = (match["key"], match["value"]) if match else ("", "")
        if quote:
            yield _Line(number, line, key, value, inside=True)
            quote = "" if _closes(quote, line) else quote
            continue
        begin, rest = value.strip()[:1], value.strip()[1:]
        # A quote that nothing closes is no value over lines: Compose refuses the file.
        if begin in ("'", '"') and not _closes(begin, rest):
            quote = begin if _closes(begin, "\n".join(lines[number:])) else ""
        yield _Line(number, line, key, value, opens=bool(quote))


def assignments(text: str) -> list[tuple[int, str, str]]:
    """Every assignment as (line number from 1, key, unquoted value), in order."""
    return [
        (line.number, line.key, _unquote(line.value))
        for line in _lines(text)
        if line.key and not line.inside
    ]


def read(text: str) -> dict[str, str]:
    """The values as the product's scripts read them: the first line of a key wins."""
    values: dict[str, str] = {}
    for _number, key, value in assignments(text):
        # An empty line of a key gives way: what a later line says is what containers get.
        values[key] = values.get(key) or value
    return values


def plain(values: Mapping[str, str]) -> dict[str, str]:
    """Only what may be shown."""
    return {key: values[key] for key in PLAIN_KEYS if key in values}


def _bad_characters(value: str) -> str:
    """The characters that readers take differently or can't print, for a message."""
    bad = {char for char in value if char in _READ_DIFFERENTLY or not char.isprintable()}
    return " ".join(map(repr, sorted(bad)))


def _misread(line: _Line) -> str:
    """Why the readers take a line for its key differently, for a message; empty when they agree."""
    key, value = line.key, line.value
    if line.inside:
        seen = line.text.startswith(f"{key}=")
        return (
            f"{key} is inside the value of another key, where only the product's scripts see it"
            if seen
            else ""
        )
    if line.opens:
        return f"{key} has a value over several lines, of which the product's scripts see the first"
    if not line.text.startswith(f"{key}="):
        return f"{key} is not written as {key}= from the line's start, so the product's scripts do not see it"
    if value.endswith("\r"):
        return (
            f"{key} ends with a carriage return, which the product's scripts take for a part of it"
        )
    bad = "spaces at an end" if value != value.strip() else _bad_characters(_unquote(value))
    if not bad and _unquote(value) == value and _COMMENT.search(value):
        bad = "a space before '#'"
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
    problems: list[tuple[int, str]] = []
    if text.startswith(_MARK):
        problems.append(
            (1, "begins with a byte order mark, so the product's scripts do not see its key")
        )
    for line in _lines(text):
        if line.key not in wanted:
            continue
        what = _misread(line)
        value = _unquote(line.value)
        if not what and not line.inside and first.setdefault(line.key, value) != value:
            what = f"{line.key} is set again, to another value"
        if what:
            problems.append((line.number, what))
    return problems


def check_value(key: str, value: str) -> None:
    """Raise EnvValueUnsafe unless every reader takes ``value`` as it stands."""
    bad = _bad_characters(value) or ("spaces at an end" if value != value.strip() else "")
    if bad:
        raise EnvValueUnsafe(key=key, found=bad)


def _plain_line(key: str, value: str) -> str:
    """One plain line; quotes only where a space needs them, which all readers take off."""
    return f'{key}="{value}"' if " " in value else f"{key}={value}"


def upsert(text: str, values: Mapping[str, str]) -> str:
    """``text`` with one plain line for each of ``values``, changed in place.

    Other lines, their order and comments stay byte for byte; a key that is new
    goes to the end. The result ends with a newline when it changed.
    Raises EnvValueUnsafe for a value that the readers would read differently, and
    EnvUnreadable where a line can't be written without breaking another key.
    """
    for key, value in values.items():
        check_value(key, value)
    for line_number, what in trouble(text, ())[:1]:
        raise EnvUnreadable(path=".env", line=line_number, found=what)
    pending = dict(values)
    result = []
    for line in _lines(text):
        if line.key not in values:
            result.append(line.text)
        elif line.inside or line.opens:
            # Not ours to mend: what is between the quotes may be another key's, or a secret.
            if _misread(line):
                raise EnvUnreadable(path=".env", line=line.number, found=_misread(line))
            result.append(line.text)
        elif line.key in pending:
            wanted = pending.pop(line.key)
            same = _unquote(line.value) == wanted and not _misread(line)
            result.append(line.text if same else _plain_line(line.key, wanted))
    if pending:
        while result and result[-1] == "":
            result.pop()
        result += [_plain_line(key, value) for key, value in pending.items()]
    changed = "\n".join(result)
    return changed if changed == text or changed.endswith("\n") else f"{changed}\n"


def shown(text: str) -> str:
    """``text`` for a diff: comments dropped, every value hidden that may be a secret."""
    lines = []
    for _number, key, value in assignments(text):
        lines.append(f"{key}={value if key in PLAIN_KEYS else HIDDEN}")
    return "\n".join(lines) + ("\n" if lines else "")


def redacted(text: str, env_text: str) -> str:
    """``text`` without the values of an ``.env`` that may be secrets."""
    assigned = assignments(env_text)
    return hide(text, [value for _number, key, value in assigned if key not in PLAIN_KEYS])
