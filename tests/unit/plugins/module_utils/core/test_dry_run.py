# SPDX-License-Identifier: GPL-3.0-or-later
"""What versions of Compose really printed in a dry run of ``create``, read for what is recreated."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.compose.dry_run import recreated
from ansible_collections.agnes.host.plugins.module_utils.core.host.errors import DryRunUnreadable

V2_26 = """\
 DRY-RUN MODE -  Container agnes-extract-1  Recreate
 DRY-RUN MODE -  Container agnes-migrate-1  Created
 DRY-RUN MODE -  Container agnes-app-1  Recreate
 DRY-RUN MODE -  Container agnes-scheduler-1  Running
 DRY-RUN MODE -  Container agnes-telegram-bot-1  Creating
 DRY-RUN MODE -  Container agnes-app-1  Recreated
 DRY-RUN MODE -  Container agnes-extract-1  Recreated
 DRY-RUN MODE -  Container agnes-telegram-bot-1  Created
"""
"""With names of our services: an environment that changed (app, extract), the same one (scheduler,
and migrate, which had ended), and no container yet (telegram-bot)."""

V2_40 = """\
 DRY-RUN MODE -  Container agnes-app-1  Recreate
 DRY-RUN MODE -  Container agnes-app-1  Recreated
 DRY-RUN MODE -  Container agnes-scheduler-1  Running
"""
V5 = """\
 Container agnes-scheduler-1 Running 
 Container agnes-app-1 Recreate 
 Container agnes-app-1 Recreated 
"""  # noqa: W291
"""Of 5.3.1, 5.4.0, 5.5.0, 5.5.1 and 5.6.1: without the words that say that nothing is done."""

SCALED = """\
 Container agnes-worker-1 Starting 
 Container agnes-worker-1 Started 
 Container agnes-worker-2 Stopping 
 Container agnes-worker-2 Stopped 
 Container agnes-worker-2 Removing 
 Container agnes-worker-2 Removed 
"""  # noqa: W291
"""Of 5.6.1, for a service that was scaled to two by hand, the first one paused."""

APP, BOTH = {"agnes-app-1"}, {"agnes-app-1", "agnes-scheduler-1"}

READ: list[Any] = [
    pytest.param(V2_26, BOTH, {*APP, "agnes-extract-1"}, id="2.26"),
    pytest.param(V2_40, BOTH, APP, id="2.40"),
    pytest.param(V5, BOTH, APP, id="5"),
    pytest.param(SCALED, {"agnes-worker-1", "agnes-worker-2"}, set(), id="scaled"),
    pytest.param("", set(), set(), id="nothing-runs"),
    pytest.param(
        ' DRY-RUN MODE -  Network agnes_default  Created\n'
        ' DRY-RUN MODE -  Volume "agnes_data"  Created\n'
        ' time="2026-11-28T10:44:44Z" level=warning msg="Container agnes-app-1 Recreate"\n'
        " app Pulling \n",
        set(), set(), id="no-container",
    ),
    pytest.param(" Container agnes-app-1 Recreated \n", APP, APP, id="only-the-end-of-it"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "running", "expected"), READ)
def test_recreated(text: str, running: set[str], expected: set[str]) -> None:
    assert recreated(text, running) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "nothing about container 'agnes-app-1'"),
        ("Everything is up to date\n", "nothing about container 'agnes-app-1'"),
        (V2_40.replace("app", "other"), "nothing about container 'agnes-app-1'"),
        (
            " Container agnes-app-1  Would recreate\n",
            "the line 'Container agnes-app-1 Would recreate'",
        ),
        (" Container agnes-app-1  Replaced\n", "the line 'Container agnes-app-1 Replaced'"),
    ],
)
def test_what_can_not_be_read_is_not_nothing_to_do(text: str, said: str) -> None:
    with pytest.raises(DryRunUnreadable, match=said):
        recreated(text, APP)
