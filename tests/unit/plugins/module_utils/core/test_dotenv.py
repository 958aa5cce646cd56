# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.agnes.host.plugins.module_utils.core.host.errors import EnvValueUnsafe
from ansible_collections.agnes.host.plugins.module_utils.core.layout import dotenv

TEST_READ: list[tuple[str, dict[str, str]]] = [
    ("", {}),
    ("A=1\n", {"A": "1"}),
    ("A=1", {"A": "1"}),
    ("A=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
    ("# A=0\nA=1\nA=2\n", {"A": "1"}),
    ('A="tls internal"\n', {"A": "tls internal"}),
    ("export A=1\n", {"A": "1"}),
    ("A=x=y\n", {"A": "x=y"}),
    ("not a line\nA=`id`$(id)\n", {"A": "`id`$(id)"}),
    ("A=\n", {"A": ""}),
]


@pytest.mark.parametrize(("text", "expected"), TEST_READ)
def test_read(text: str, expected: dict[str, str]) -> None:
    assert dotenv.read(text) == expected


TEST_UPSERT: list[tuple[str, dict[str, str], str]] = [
    ("", {"A": "1"}, "A=1\n"),
    ("A=1\n", {"A": "1"}, "A=1\n"),
    ("A=1", {"A": "1"}, "A=1"),
    ("X=0\nA=1\n# end\n", {"A": "2"}, "X=0\nA=2\n# end\n"),
    ("A=1\nX=0\nA=2\n", {"A": "3"}, "A=3\nX=0\n"),
    ("X=`a`\r\n", {"A": "1"}, "X=`a`\r\nA=1\n"),
    ("export A=1\n", {"A": "1"}, "A=1\n"),
    ("X=1", {"A": "1"}, "X=1\nA=1\n"),
    ("A=1\n\n\n", {"B": "2"}, "A=1\nB=2\n"),
]


@pytest.mark.parametrize(("text", "values", "expected"), TEST_UPSERT)
def test_upsert(text: str, values: dict[str, str], expected: str) -> None:
    assert dotenv.upsert(text, values) == expected


TEST_UNSAFE: list[tuple[str, str]] = [
    (" a", "spaces at an end"),
    ("a$b", "'$'"),
    ("`id`", "'`'"),
    ('"x"', "'\"'"),
    ("a\ud8ffb", "'\\ud8ff'"),
    ("a\xa0b", "'\\xa0'"),
    ("a\nB=1", "'\\n'"),
    ("a\\b", "'\\\\'"),
]


@pytest.mark.parametrize(("value", "said"), TEST_UNSAFE)
def test_upsert_refuses_a_value_that_readers_read_differently(value: str, said: str) -> None:
    with pytest.raises(EnvValueUnsafe) as refused:
        dotenv.upsert("", {"KEY": value})
    assert str(refused.value) == (
        f"AH047: the value for KEY holds {said}, which the product's scripts and Compose read "
        "differently; use a value without quotes, "
        "$, backticks, backslashes, and spaces at its start or end"
    )


KEYS = st.sampled_from(["A", "B", "STATE_DIR", "_X9"])
VALUES = st.text(st.sampled_from("abAB09_./:,@%+=-"), max_size=6)
LINES = st.lists(
    st.one_of(
        st.builds(
            "{}={}".format, KEYS, st.text(st.characters(exclude_characters="\n\r\"'"), max_size=6)
        ),
        st.sampled_from(["# comment", "", "export A=1", "garbage", "A='q'"]),
    ),
    max_size=8,
)


@given(LINES, st.dictionaries(KEYS, VALUES, max_size=3))
def test_after_upsert_first_and_last_reader_agree(lines: list[str], values: dict[str, str]) -> None:
    text = "\n".join(lines)
    after = dotenv.upsert(text, values)
    first = dotenv.read(after)
    last = {key: value for _number, key, value in dotenv.assignments(after)}
    for key, value in values.items():
        assert first[key] == last[key] == value
    assert dotenv.upsert(after, values) == after
    foreign = [line for line in lines if line and not any(k + "=" in line for k in values)]
    assert [line for line in foreign if line in after.split("\n")] == foreign


def test_shown_hides_every_value_that_is_not_known_to_be_plain() -> None:
    text = "# note\nDATA_DIR=/data\nJWT_SECRET_KEY=topsecret\nFOREIGN=alsosecret\n"
    assert dotenv.shown(text) == "DATA_DIR=/data\nJWT_SECRET_KEY=(hidden)\nFOREIGN=(hidden)\n"


TEST_TROUBLE: list[Any] = [
    pytest.param("A=1\nSTATE_DIR=/x\nA=2\nSTATE_DIR=/x\n", [], id="the-same-again"),
    pytest.param("STATE_DIR='/x'\n#STATE_DIR=/y\n", [], id="quotes-and-comments"),
    pytest.param(
        "STATE_DIR=/x\n\nSTATE_DIR=/y", [(3, "STATE_DIR is set again, to another value")],
        id="another-value",
    ),
    pytest.param(
        "export STATE_DIR=/x\n",
        [(1, "STATE_DIR is not written as STATE_DIR= from the line's start, so the product's scripts do not see it")],
        id="export",
    ),
    pytest.param(
        "A=1\nSTATE_DIR =/x\n",
        [(2, "STATE_DIR is not written as STATE_DIR= from the line's start, so the product's scripts do not see it")],
        id="space",
    ),
    pytest.param(
        "STATE_DIR=/x\r\n",
        [(1, "STATE_DIR ends with a carriage return, which the product's scripts take for a part of it")],
        id="carriage-return",
    ),
    pytest.param(
        "STATE_DIR=$HOME/`x`\n",
        [(1, "STATE_DIR holds '$' '`', which the product's scripts and Compose read differently")],
        id="expansion",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), TEST_TROUBLE)
def test_trouble(text: str, expected: list[tuple[int, str]]) -> None:
    assert dotenv.trouble(text, ["STATE_DIR"]) == expected


def test_a_line_that_ends_with_a_carriage_return_is_written_anew() -> None:
    assert dotenv.upsert("A=1\r\nSTATE_DIR=/x\r\n", {"STATE_DIR": "/x"}) == "A=1\r\nSTATE_DIR=/x\n"


def test_a_value_with_a_space_is_quoted_and_left_alone_once_it_is() -> None:
    text = dotenv.upsert("", {"CADDY_TLS": "tls internal"})
    assert text == 'CADDY_TLS="tls internal"\n'
    assert dotenv.upsert(text, {"CADDY_TLS": "tls internal"}) == text
