# SPDX-License-Identifier: GPL-3.0-or-later
"""What came from a host as bytes leaves as text, and can be named again."""

from __future__ import annotations

import importlib
import io
import json
from contextlib import redirect_stdout
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.agnes.host.plugins.module_utils.core.copy.retired import (
    Retired,
    check_named,
)
from ansible_collections.agnes.host.plugins.module_utils.core.host.errors import NotRetired
from ansible_collections.agnes.host.plugins.module_utils.core.host.text import (
    clean,
    say_size,
    shown,
)
from ansible_collections.agnes.host.plugins.module_utils.output import Module

SHOWN = [
    (b"plain \xc3\xa9\xc2\xa0", "plain \xe9\xa0"),
    (b"caf\xe9", r"caf\xe9"),
    (b"\xff\xfe", r"\xff\xfe"),
    (b"a\x1b[2Jb\r", r"a\x1b[2Jb\x0d"),
    (b"line\nand\ttab", "line\nand\ttab"),
    ("\u202egnp.exe\x9b".encode(), r"\u202egnp.exe\u009b"),
]


@pytest.mark.parametrize(("name", "text"), SHOWN)
def test_a_name_is_shown_with_escapes(name: bytes, text: str) -> None:
    assert shown(name.decode("utf-8", "surrogateescape")) == text


@given(st.binary())
def test_whatever_a_name_is_its_text_is_utf_8_and_stays(name: bytes) -> None:
    text = shown(name.decode("utf-8", "surrogateescape"))
    assert text.encode("utf-8").decode("utf-8") == text
    assert shown(text) == text


def test_all_of_a_value_is_made_text() -> None:
    value = {"\udcff": ["\udcfe", ("\ud800", 1), {"a": None}], "b": True}
    assert clean(value) == {r"\xff": [r"\xfe", [r"\ud800", 1], {"a": None}], "b": True}


@pytest.mark.parametrize("end", ["exit_json", "fail_json"])
def test_a_module_says_only_text(end: str) -> None:
    module: Any = Module.__new__(Module)
    said: list[Any] = []
    module._return_formatted, module.cleanup_files = said.append, []
    with pytest.raises(SystemExit):
        getattr(module, end)(**({"msg": "\udcff"} if end == "fail_json" else {}), names=["\udcff"])
    assert said[0]["names"] == [r"\xff"]
    json.dumps(said[0], ensure_ascii=False).encode("utf-8")


def test_the_command_prints_only_text(monkeypatch: pytest.MonkeyPatch) -> None:
    command = importlib.import_module(
        "ansible_collections.agnes.host.plugins.module_utils.move.command"
    )
    monkeypatch.setattr(command, "explain", lambda: ["state in /data/\udcff"])
    monkeypatch.setattr(command.os, "geteuid", lambda: 0)
    monkeypatch.setattr("sys.argv", ["agnes-host", "explain"])
    strict = io.TextIOWrapper(io.BytesIO(), "utf-8", "strict")
    with redirect_stdout(strict):
        assert command.main() == 0
    strict.flush()
    assert strict.buffer.getvalue() == b"state in /data/\\xff\n"  # type: ignore[attr-defined]


def aside(*paths: str) -> list[Retired]:
    return [{"path": path, "bytes": 0, "files": 0, "newest": ""} for path in paths]


def test_what_is_to_be_purged_can_be_named_as_it_is_listed() -> None:
    items = aside("/aside/\udcff", "/aside/b")
    assert check_named([r"/aside/\xff", "/aside/b"], items) == ["/aside/\udcff", "/aside/b"]


def test_a_name_that_two_things_are_listed_as_is_the_one_that_has_it() -> None:
    assert check_named([r"/aside/\xff"], aside("/aside/\udcff", r"/aside/\xff")) == [r"/aside/\xff"]
    with pytest.raises(NotRetired):
        check_named([r"/aside/\xff"], aside("/aside/a"))


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (0, "0 bytes"), (1023, "1023 bytes"), (1024, "1 KiB"), (10 << 20, "10 MiB"),
        ((10 << 20) - 1, "9.9 MiB"), ((10 << 30) - 1, "9.9 GiB"), (16 << 30, "16 GiB"), (3 << 41, "6144 GiB"),
    ],
)  # fmt: skip
def test_a_size_is_never_said_larger_than_it_is(number: int, said: str) -> None:
    assert say_size(number) == said
