# SPDX-License-Identifier: GPL-3.0-or-later
"""The two readers of ``.env``, as they are: neither asks our code what a line means."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

REJECTED = "(rejected)"

TEST_READERS: list[tuple[str, str, str]] = [
    ("A=1\n", "1", "1"),
    ("A=1", "1", "1"),
    ("", "", ""),
    ("AA=1\n#A=2\n", "", ""),
    ("A=1\nA=2\n", "1", "2"),
    ("A=1\r\n", "1\r", "1"),
    ('A="1"\r\n', '1"\r', "1"),
    ("A=`id`\n", "`id`", "`id`"),
    ("B=3\nA=$B\n", "$B", "3"),
    ('B=3\nA="$B"\n', "$B", "3"),
    ("B=3\nA='$B'\n", "$B", "$B"),
    ("A=1 # c\n", "1 # c", "1"),
    ("A=1#c\n", "1#c", "1#c"),
    ("A=#c\n", "#c", "#c"),
    ("A= #c\n", " #c", "#c"),
    ('A="1" # c\n', '1" # c', "1"),
    ('A="1"2\n', '1"2', "1"),
    ("export A=1\n", "", "1"),
    ("  A=1\n", "", "1"),
    ("A =1\n", "", "1"),
    ("A: 1\n", "", "1"),
    ("A= 1\n", " 1", "1"),
    ("A=1 \n", "1 ", "1"),
    ("A=1\n A=2\n", "1", "2"),
    ("A=1\n\tA=2\n", "1", "2"),
    ("A=1\nexport\tA=2\n", "1", "2"),
    ("A=1\nA: 2\n", "1", "2"),
    ("A=1\n\vA=2\n", "1", "2"),
    ('A="tls internal"\n', "tls internal", "tls internal"),
    ("A='x y'\n", "x y", "x y"),
    ("A=a b c\n", "a b c", "a b c"),
    ('B="x\nA=1\ny"\n', "1", ""),
    ('A=1\nB="x\nA=2"\nA\n', "1", "1"),
    ("A=\n", "", ""),
    ("A=x=y\n", "x=y", "x=y"),
    ("A==x\n", "=x", "=x"),
    ('A=1"2"\n', '1"2', '1"2"'),
    ('A="1\n', "1", REJECTED),
    ("A='1\n", "1", REJECTED),
    ("A='it''s'\n", "it''s", REJECTED),
    ("A=1,2:3/@+=-%41\n", "1,2:3/@+=-%41", "1,2:3/@+=-%41"),
    ("garbage\nA=1\n", "1", "1"),
    ("\ufeffA=1\n", "", "1"),
    ("A=postgres://u:p!*~@h/d?sslmode=require&c=1\n",)
    + ("postgres://u:p!*~@h/d?sslmode=require&c=1",) * 2,
    ("A=#a#b;(c)[d]{e}<f>|g^h\n",) + ("#a#b;(c)[d]{e}<f>|g^h",) * 2,
    ('A="a #b ?!"\n', "a #b ?!", "a #b ?!"),
    ("A=\u00e9\u00e0\u2026\n", "\u00e9\u00e0\u2026", "\u00e9\u00e0\u2026"),
    ("A=a\\b\n", "a\\b", "a\\b"),
    ('A="a\\tb"\n', "a\\tb", "a\tb"),
]
"""Text, and what the product's pipeline and Compose 2.26.1 read for A: both were run."""

PRODUCT = r"""
value=$(grep -m1 "^$1=" "$2" | cut -d= -f2-)
for quote in \" \'; do
    value="${value#"$quote"}"
    value="${value%"$quote"}"
done
printf '%s' "$value"
"""
"""How the product's scripts read a key: the first line that starts with it, a quote off each end."""


def product_by_bash(text: str, key: str, folder: Path) -> str:
    """What the product's pipeline gives, run by bash."""
    path = folder / ".env"
    path.write_bytes(text.encode())
    command = ["bash", "-c", PRODUCT, "reader", key, str(path)]
    done = subprocess.run(command, capture_output=True, check=True)
    return done.stdout.decode()


def product(text: str, key: str) -> str:
    """A model of PRODUCT, for many inputs; empty for no line."""
    lines = [line for line in text.split("\n") if line.startswith(f"{key}=")]
    value = lines[0].partition("=")[2] if lines else ""
    for quote in "\"'":
        value = value.removeprefix(quote).removesuffix(quote)
    return value


class Rejected(Exception):
    """Compose takes the file for broken, and does nothing with the project."""


_SPACE = " \t\v\f\r\x85\xa0"
_NAME = re.compile(r"(export[ \t\v\f\r\x85\xa0]+)?(?P<key>[A-Za-z0-9_.\-\[\] \t\v\f\r\x85\xa0]*)")
_VARIABLE = re.compile(r"\$\$|\$\{(?P<braced>\w+)\}|\$(?P<plain>[A-Za-z_]\w*)")


def _expanded(value: str, values: dict[str, str]) -> str:
    def known(match: re.Match[str]) -> str:
        name = match["braced"] or match["plain"]
        return values.get(name, "") if name else "$"

    return _VARIABLE.sub(known, value)


def _unescaped(value: str) -> str:
    escapes = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}
    return re.sub(r"\\([nrt\"\\])", lambda match: escapes[match[1]], value)


def compose(text: str) -> dict[str, str]:
    """A model of Compose's reader by its documented rules; raises Rejected.

    The last assignment wins, also one that is indented, exported, or has a colon; a quoted
    value may go over lines; ``$`` expands but in single quotes; `` #`` ends a plain value.
    """
    values: dict[str, str] = {}
    rest = text.replace("\r\n", "\n").lstrip("\ufeff")
    while True:
        rest = rest.lstrip(_SPACE + "\n")
        if not rest:
            return values
        line, _newline, after = rest.partition("\n")
        if line.startswith("#"):
            rest = after
            continue
        match = _NAME.match(line)
        assert match is not None
        sign = line[match.end() : match.end() + 1]
        if not sign:
            rest = after  # A key alone is taken from the environment, if it is there.
            continue
        key = match["key"].rstrip(_SPACE)
        if sign not in "=:" or not key:
            raise Rejected(f"unexpected character {sign!r}")
        rest = rest[match.end() + 1 :].lstrip(_SPACE)
        quote = rest[:1]
        if quote and quote in "\"'":
            close = re.compile(r"(?<!\\)" + quote).search(rest, 1)
            if close is None:
                raise Rejected("unterminated quoted value")
            value, rest = rest[1 : close.start()], rest[close.end() :]
            values[key] = value if quote == "'" else _unescaped(_expanded(value, values))
            if rest.lstrip(_SPACE).startswith("#"):
                rest = rest.partition("\n")[2]
        else:
            line, _newline, rest = rest.partition("\n")
            values[key] = _expanded(re.split(r"\s#", line)[0].rstrip(_SPACE), values)
