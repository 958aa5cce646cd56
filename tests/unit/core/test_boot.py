# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.boot import lines_that_write, say

TEST_LINES: list[Any] = [
    pytest.param('A=1\ncat > "${DIR}/.env" <<EOF\n', [2], id="quoted"),
    pytest.param("A=1\ncat >/opt/agnes/.env <<EOF\n", [2], id="no-space"),
    pytest.param("A=1\n{ echo; } >> .env\n", [2], id="appended"),
    pytest.param("A=1\necho A | tee /opt/agnes/.env\n", [2], id="tee"),
    pytest.param("A=1\nexec 3> /opt/agnes/.env;\n", [2], id="exec"),
    pytest.param("A=1\n  # cat > .env\ncat < .env > other\n", [], id="read"),
    pytest.param("A=1\ncat > /opt/agnes/my.env.bak\n", [], id="another-file"),
    pytest.param("", [], id="empty"),
    pytest.param("f=/opt/agnes/.env\ncat > $f <<EOF\n", [2], id="the name is in a variable"),
    pytest.param("cat > new <<EOF\nmv new /opt/agnes/.env\n", [2], id="it is moved there"),
    pytest.param(
        "cat > new <<EOF\ninstall -m 600 new /opt/agnes/.env\n", [2], id="it is installed there"
    ),
    pytest.param(
        "set -e\nsed -i /^STATE_DIR=/d /opt/agnes/.env\n", [2], id="it is changed in place"
    ),
    pytest.param(
        'A=1\ncat > "$DIR"/.env <<EOF\n', [2], id="only-the-directory-is-quoted",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("script", "expected"), TEST_LINES)
def test_lines_that_write(script: str, expected: list[int]) -> None:
    assert lines_that_write(script) == expected


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], "the boot script that logs to /x"),
        ([3], "/x (line 3)"),
        ([3, 4], "/x (lines 3, 4)"),
    ],
)
def test_say(lines: list[int], expected: str) -> None:
    assert say({"path": "/x", "lines": lines}) == expected
