# SPDX-License-Identifier: GPL-3.0-or-later
"""What we write to ``.env`` means the same to the product's scripts and to Compose."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from ansible_collections.agnes.host.plugins.module_utils.core import dotenv
from ansible_collections.agnes.host.plugins.module_utils.core.errors import EnvValueUnsafe

from .env_readers import Rejected, compose, product, product_by_bash

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
]
"""Text, and what the product's pipeline and Compose 2.26.1 read for A: both were run."""


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


def _real_compose() -> list[str]:
    for command in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]):
            version = [*command, "version", "--short"]
            done = subprocess.run(version, capture_output=True, text=True, check=False)
            if done.returncode == 0 and dotenv_is_composes(done.stdout):
                return command
    return []


def dotenv_is_composes(version: str) -> bool:
    """Compose 1 had another reader."""
    return not version.lstrip("v").startswith("1.")


@pytest.mark.skipif(not _real_compose(), reason="docker compose is not installed")
@pytest.mark.parametrize(("text", "_by_product", "by_compose"), TEST_READERS)
def test_compose_itself_reads_so(
    text: str, _by_product: str, by_compose: str, tmp_path: Path
) -> None:
    (tmp_path / "e").write_bytes(text.encode())
    (tmp_path / "c.yml").write_text("services: {s: {image: x, environment: {A: '${A-}'}}}\n")
    command = [*_real_compose(), "--env-file", "e", "--file", "c.yml", "config"]
    done = subprocess.run(
        [*command, "--format", "json"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    if by_compose == REJECTED:
        assert done.returncode
        return
    found = json.loads(done.stdout)["services"]["s"]["environment"]["A"]
    assert found.replace("$$", "$") == by_compose


KEYS = ("A", "B", "STATE_DIR")
KEY = st.sampled_from(KEYS)
SAFE = st.text(st.sampled_from("abA09_./:,@%+=-"), max_size=5)
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


def readable(text: str) -> bool:
    try:
        compose(text)
    except Rejected:
        return False
    return True


@given(TEXTS, VALUES)
def test_after_upsert_both_readers_read_what_was_written(text: str, values: dict[str, str]) -> None:
    assume(readable(text))
    after = dotenv.upsert(text, values)
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


@given(TEXTS)
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


def wrong(text: str, why: str) -> Any:
    return pytest.param(text, marks=pytest.mark.xfail(strict=True, reason=why), id=repr(text))


TEST_SAME_VALUE: list[Any] = [
    pytest.param("A=1\r\n", id="carriage-return"),
    pytest.param("A=1\nA=2\n", id="twice"),
    wrong("A= 1\n", "the space before a value that is right is kept"),
    wrong("A=1 \n", "the space behind a value that is right is kept"),
    wrong('A="1" \n', "the space behind a quote is kept"),
    wrong("A=1\n A=2\n", "an indented line is not seen, and Compose takes it"),
    wrong("A=1\nA =2\n", "a space before = is not seen, and Compose takes it"),
    wrong("A=1\nA: 2\n", "a colon is not seen, and Compose takes it"),
    wrong('B="x\nA=1\ny"\n', "a line within quotes is taken for an assignment"),
]


@pytest.mark.parametrize("text", TEST_SAME_VALUE)
def test_a_line_that_has_the_value_already_is_mended_if_a_reader_takes_it_otherwise(
    text: str,
) -> None:
    after = dotenv.upsert(text, {"A": "1"})
    assert (product(after, "A"), compose(after).get("A")) == ("1", "1")


TEST_UNSEEN: list[Any] = [
    pytest.param("A =1\n", id="space-before"),
    pytest.param("A=1\n A=2\n", id="indented"),
    wrong("A= 1\n", "the product's scripts read a space"),
    wrong("A=1 \n", "the product's scripts read a space"),
    wrong("A: 1\n", "Compose takes a colon"),
    wrong("A=1\nA: 2\n", "Compose takes a colon"),
    wrong('B="x\nA=1\ny"\n', "to Compose the line is a part of B"),
]


@pytest.mark.parametrize("text", TEST_UNSEEN)
def test_what_readers_read_differently_is_trouble(text: str) -> None:
    assert product(text, "A") != compose(text).get("A", "")
    assert dotenv.trouble(text, ["A"])


@pytest.mark.parametrize("text", [
    pytest.param("X=0", id="added"),
    pytest.param("A=1", id="changed", marks=pytest.mark.xfail(strict=True, reason="none is added")),
])  # fmt: skip
def test_a_file_that_changed_ends_with_a_newline(text: str) -> None:
    assert dotenv.upsert(text, {"A": "2"}).endswith("\n")
