# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run asks of the runner is neither lost nor taken for another run's: at a boot, at the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Optional

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.move.intent import MoveIntent
from ansible_collections.agnes.host.plugins.module_utils.core.move.move_errors import MoveUnderWay
from ansible_collections.agnes.host.plugins.module_utils.move import runner
from ansible_collections.agnes.host.plugins.module_utils.system.move import ledger
from ansible_collections.agnes.host.plugins.modules import move
from ansible_collections.agnes.host.tests.unit.plugins.module_utils.core.moving import intent

DONE = {"layout": "flat", "move": "m", "down_seconds": 0.0, "steps": []}


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The runner's files, in a directory of the test's own."""

    @contextmanager
    def locked(_who: str, waits_for: str) -> Iterator[None]:
        yield

    monkeypatch.setattr(ledger, "locked", locked)
    for name in ("INTENT", "REQUEST", "RESULT", "JOURNAL"):
        monkeypatch.setattr(ledger, name, str(tmp_path / name))


def asked(name: str) -> dict[str, Any]:
    return intent(request=name, id="")


def carry_out(monkeypatch: pytest.MonkeyPatch, meanwhile: list[Optional[str]]) -> list[Any]:
    """Let moves end well, and runs ask meanwhile; returns what is carried out."""
    seen: list[Any] = []

    def one(request: Optional[MoveIntent], _say: Any) -> dict[str, Any]:
        seen.append(request and request.request)
        name = meanwhile.pop(0) if meanwhile else None
        if name:
            ledger.write(ledger.REQUEST, asked(name))
        return DONE

    monkeypatch.setattr(runner, "carry_out", one)
    return seen


def result() -> str:
    return str((ledger.read(ledger.RESULT) or {})["request"])


@pytest.mark.parametrize(
    ("first", "meanwhile", "carried_out"),
    [
        ("a", [], ["a"]),
        (None, [], [None]),
        (None, ["a"], [None, "a"]),
        ("a", ["b"], ["a", "b"]),
    ],
)
def test_each_request_is_carried_out_and_only_a_read_one_taken_away(
    first: Optional[str], meanwhile: list[Optional[str]], carried_out: list[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    if first:
        ledger.write(ledger.REQUEST, asked(first))
    else:
        ledger.write(ledger.INTENT, intent(request="before the boot"))
    seen = carry_out(monkeypatch, list(meanwhile))
    assert runner.run_requested(lambda _text: None) == 0
    assert seen == carried_out
    assert ledger.read(ledger.REQUEST) is None
    assert result() == (carried_out[-1] or "before the boot")


def test_killed_after_its_last_act_the_engine_leaves_the_result_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was killed systemd starts again, and looks at no condition then."""
    seen = carry_out(monkeypatch, [])
    ledger.write(ledger.RESULT, {"request": "a", "ok": True})
    assert runner.run_requested(lambda _text: None) == 0
    assert (seen, result()) == ([], "a")


def test_a_request_that_was_answered_before_the_engine_was_killed_is_only_taken_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = carry_out(monkeypatch, [])
    ledger.write(ledger.RESULT, {"request": "a", "ok": True})
    ledger.write(ledger.REQUEST, asked("a"))
    assert runner.run_requested(lambda _text: None) == 0
    assert (seen, ledger.read(ledger.REQUEST), result()) == ([], None, "a")


def test_a_run_attaches_to_the_move_that_is_under_way() -> None:
    ledger.write(ledger.INTENT, intent(request="a"))
    assert move.attach("flat") == "a"
    with pytest.raises(MoveUnderWay, match="layout flat"):
        move.attach("nested")


def test_a_run_that_meets_the_engine_at_its_very_end_asks_for_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    active = [True, True, False, False]

    def ask(_planned: MoveIntent, _params: dict[str, Any]) -> str:
        assert len(active) == 1, "the unit has not ended"
        ledger.write(ledger.RESULT, {"request": "new", "ok": True})
        return "new"

    monkeypatch.setattr(move, "is_active", lambda: active.pop(0))
    monkeypatch.setattr(move, "ask", ask)
    monkeypatch.setattr(move.time, "sleep", lambda _seconds: None)
    monkeypatch.setattr(move.os.path, "isdir", lambda _path: True)
    assert move.carry_out({"move": intent()}, lambda _text: None)["request"] == "new"


@pytest.mark.parametrize(
    ("shown", "active"),
    [
        ("inactive\n\n", False),
        ("failed\n\n", False),
        ("active\n\n", True),
        ("activating\n\n", True),
        ("inactive\n4711\n", True),
    ],
)
def test_a_unit_that_waits_for_its_turn_is_waited_for(
    shown: str, active: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(move, "run", lambda _argv: SimpleNamespace(out=shown))
    assert move.is_active() == active


def test_the_engine_is_told_the_profiles_by_which_the_run_after_it_makes_the_chain(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(move.publish, "sources", dict)
    monkeypatch.setattr(move.publish, "missing", lambda _modules: False)
    monkeypatch.setattr(move, "run", lambda _argv, codes=(0,): None)
    told = {"data_device": "", "state_device": "", "canary_url": "", "timeout": 9}
    params = {**told, "project_dir": "/p/", "profiles": ["tls"]}
    move.ask(MoveIntent.from_dict(intent()), params)
    assert (ledger.read(ledger.REQUEST) or {})["profiles"] == ["tls"]
