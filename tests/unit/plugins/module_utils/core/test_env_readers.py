# SPDX-License-Identifier: GPL-3.0-or-later
"""What we write to ``.env`` means the same to the product's scripts and to Compose."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from env_readers import REJECTED, TEST_READERS, Rejected, compose, product, product_by_bash
from hypothesis import assume, example, given
from hypothesis import strategies as st

from ansible_collections.agnes.host.plugins.module_utils.core.host.errors import (
    EnvUnreadable,
    EnvValueUnsafe,
)
from ansible_collections.agnes.host.plugins.module_utils.core.layout import dotenv


@pytest.mark.parametrize(("text", "by_product", "by_compose"), TEST_READERS)
def test_the_models_read_as_the_readers_do(
    text: str, by_product: str, by_compose: str, tmp_path: Path
) -> None:
    assert product_by_bash(text, "A", tmp_path) == by_product
    assert product(text, "A") == by_product
    try:
        assert compose(text).get("A", "") == by_compose
    except Rejected:
        assert by_compose == REJECTED


KEYS = ("A", "B", "STATE_DIR")
KEY = st.sampled_from(KEYS)
SAFE = st.text(st.sampled_from("abA09_./:,@%+=-?!*~&;|()<>[]{}^#\u00e0"), max_size=5)
QUOTE = st.sampled_from(["'", '"'])
SPACED = st.builds("{}x y{}".format, SAFE, SAFE)
VALUES = st.dictionaries(KEY, SAFE | SPACED, max_size=3)
FOREIGN = st.one_of(
    st.builds("X={}".format, st.text(st.characters(exclude_characters="\n\"'"), max_size=5)),
    st.builds("# {}={}".format, KEY, SAFE),
    st.builds("{}{}=x".format, st.sampled_from(["Z_", "Z.", "Z"]), KEY),
    st.builds("{}_Z=x".format, KEY),
    st.sampled_from(
        ["", "garbage", "X=`a`\r", "X='$A'", 'X="$A" # c', "export X=1", " ", "A", "B"]
    ),
)
OWN = st.one_of(
    st.builds("{}={}".format, KEY, SAFE | SPACED),
    st.builds("{}={}\r".format, KEY, SAFE),
    st.builds("{}='{}'".format, KEY, SAFE | SPACED),
    st.builds('{}="{}"{}'.format, KEY, SAFE, st.sampled_from(["", " # c", "\r", "x"])),
    st.builds("{}={}".format, KEY, st.sampled_from(["$X", "`a`", "a#b", "a # b", "${X}", "\\"])),
    st.builds("{}export{}{}={}".format, st.sampled_from(["", " "]), st.just(" "), KEY, SAFE),
)
TEXTS = st.builds("".join, st.tuples(
    st.lists(FOREIGN | OWN, max_size=8).map("\n".join), st.sampled_from(["", "\n", "\n\n"])
))  # fmt: skip

LOOSE = st.one_of(
    st.builds("{}{}={}".format, st.sampled_from([" ", "\t", "\v"]), KEY, SAFE),
    st.builds("{}{}{}".format, KEY, st.sampled_from([" =", " = ", ": ", ":", "= "]), SAFE),
    st.builds("{}={} ".format, KEY, SAFE),
    st.builds('{}="{}" '.format, KEY, SAFE),
    st.builds("{}={}p\n{}={}\nq{}".format, st.just("X"), QUOTE, KEY, SAFE, QUOTE),
    st.builds("# it's {}x\n{}={}".format, QUOTE, KEY, SAFE),
)
WILD = st.lists(FOREIGN | OWN | LOOSE, max_size=6).map("\n".join)


def readable(text: str) -> bool:
    try:
        compose(text)
    except Rejected:
        return False
    return True


@given(WILD, VALUES)
def test_after_upsert_both_readers_read_what_was_written(text: str, values: dict[str, str]) -> None:
    assume(readable(text))
    try:
        after = dotenv.upsert(text, values)
    except EnvUnreadable:
        # Only a line inside a quoted value of another key can't be written.
        assert any(f"\n{key}=" in text for key in values)
        assert re.search("[xX]=['\"]", text)
        return
    by_compose = compose(after)
    for key, value in values.items():
        assert product(after, key) == value
        assert by_compose[key] == value


@given(TEXTS, VALUES)
def test_upsert_leaves_every_other_line_byte_for_byte(text: str, values: dict[str, str]) -> None:
    def others(of: str) -> list[str]:
        ours = re.compile(rf"(\s*export\s+)?({'|'.join(values) or '(?!)'})=")
        lines = [line for line in of.split("\n") if not ours.match(line)]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    after = dotenv.upsert(text, values)
    assert others(after) == others(text)
    for key in values:
        assert len(re.findall(rf"^(?:\s*export\s+)?{key}=", after, re.M)) == 1


@given(TEXTS, VALUES)
def test_upsert_is_idempotent_and_keeps_the_place_of_a_key(
    text: str, values: dict[str, str]
) -> None:
    after = dotenv.upsert(text, values)
    assert dotenv.upsert(after, values) == after
    there = [k for k in re.findall(r"^(?:\s*export\s+)?(\w+)=", text, re.M) if k in values]
    order = [k for k in re.findall(r"^(\w+)=", after, re.M) if k in values]
    first = list(dict.fromkeys(there))
    assert order == first + [k for k in values if k not in first]


@given(WILD)
@example("A=1\nA=1\n")
def test_where_there_is_no_trouble_the_readers_agree(text: str) -> None:
    assume(readable(text))
    by_compose = compose(text)
    for key in KEYS:
        if not dotenv.trouble(text, [key]):
            assert product(text, key) == by_compose.get(key, "")


@given(st.text(max_size=4))
def test_a_value_is_written_only_if_both_readers_read_it_back(value: str) -> None:
    try:
        after = dotenv.upsert("X=0\n", {"A": value})
    except EnvValueUnsafe:
        assert not re.fullmatch(r"[A-Za-z0-9_.-]*", value)
        return
    assert product(after, "A") == value
    assert compose(after) == {"X": "0", "A": value}


TEST_SAME_VALUE: list[Any] = [
    pytest.param("A=1\r\n", id="carriage-return"),
    pytest.param("A=1\nA=2\n", id="twice"),
    "A= 1\n",
    "A=1 \n",
    'A="1" \n',
    "A=1\n A=2\n",
    "A=1\nA =2\n",
    "A=1\nA: 2\n",
]


@pytest.mark.parametrize("text", TEST_SAME_VALUE)
def test_a_line_that_has_the_value_already_is_mended_if_a_reader_takes_it_otherwise(
    text: str,
) -> None:
    after = dotenv.upsert(text, {"A": "1"})
    assert (product(after, "A"), compose(after).get("A")) == ("1", "1")


def test_a_line_inside_the_value_of_another_key_is_not_touched_but_refused() -> None:
    text = 'B="x\nA=1\ny"\n'
    with pytest.raises(EnvUnreadable) as refused:
        dotenv.upsert(text, {"A": "1"})
    assert str(refused.value) == (
        "AH046: .env line 2: A is inside the value of another key, where only the product's scripts "
        "see it; write one plain KEY=value a line"
    )
    assert dotenv.upsert(text, {"C": "1"}) == f"{text}C=1\n"


TEST_UNSEEN: list[Any] = [
    pytest.param("A =1\n", id="space-before"),
    pytest.param("A=1\n A=2\n", id="indented"),
    "A= 1\n",
    "A=1 \n",
    "A: 1\n",
    "A=1\nA: 2\n",
    "A=1 # c\n",
    "\ufeffA=1\n",
    'B="x\nA=1\ny"\n',
]


@pytest.mark.parametrize("text", TEST_UNSEEN)
def test_what_readers_read_differently_is_trouble(text: str) -> None:
    assert product(text, "A") != compose(text).get("A", "")
    assert dotenv.trouble(text, ["A"])


@pytest.mark.parametrize("text", [
    pytest.param("X=0", id="added"),
    pytest.param("A=1", id="changed"),
])  # fmt: skip
def test_a_file_that_changed_ends_with_a_newline(text: str) -> None:
    assert dotenv.upsert(text, {"A": "2"}).endswith("\n")


def test_a_file_with_a_byte_order_mark_is_not_written() -> None:
    with pytest.raises(EnvUnreadable, match=r"^AH046: \.env line 1: begins with a byte order mark"):
        dotenv.upsert("\ufeffA=1\nB=1\n", {"B": "2"})


def test_a_value_over_lines_is_replaced_as_a_whole_or_refused() -> None:
    text = 'A="p\nB=1\nq"\nC=2\n'
    try:
        after = dotenv.upsert(text, {"A": "3"})
    except EnvUnreadable:
        return
    assert compose(after) == {"A": "3", "C": "2"}


@pytest.mark.parametrize("key", ["a.b", "a-b"])
def test_a_value_over_lines_of_any_key_hides_its_lines(key: str) -> None:
    text = f'{key}="x\nA=1\ny"\n'
    assert product(text, "A") != compose(text).get("A", "")
    assert dotenv.trouble(text, ["A"])


@pytest.mark.parametrize("quote", ["'", '"'])
def test_every_line_inside_a_value_over_lines_is_seen_as_inside(quote: str) -> None:
    text = f"B={quote}x\nA=1\nA=2\ny{quote}\nA=3\n"
    assert dotenv.assignments(text)[1:] == [(5, "A", "3")]
    assert [line for line, _what in dotenv.trouble(text, ["A"])] == [2, 3]
    assert compose(text)["A"] == "3"


@pytest.mark.parametrize("text", ['A=""\n', "A=''\n", "A=\n"])
def test_empty_quotes_are_an_empty_value(text: str) -> None:
    assert dotenv.read(text)["A"] == product(text, "A") == compose(text)["A"] == ""
