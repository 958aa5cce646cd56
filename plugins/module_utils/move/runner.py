# SPDX-License-Identifier: GPL-3.0-or-later
"""Carrying out a move: one step after the other, from wherever the host is now.

Up to the commit an error leads back to the old layout, with the stack started;
after it, an error leads on: the move is tried again, and the next run goes on.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Optional

from ..core.host.errors import Refusal
from ..core.layout.layouts import LAYOUTS
from ..core.move.intent import BACK, FORWARD, MoveIntent
from ..core.move.move_errors import CopyGone, MoveGoneBack, MoveStuck, PlanStale
from ..core.move.move_kinds import kind_of
from ..core.move.move_status import MoveFacts, points_to
from ..core.move.move_steps import COMMIT, POINTS, STEPS, undoable
from ..core.move.moves import check_movable
from ..core.move.plan_facts import changed, facts_of
from ..system.compose import upgrade
from ..system.host import host
from ..system.host.commands import Failed, take_over
from ..system.move import ledger, moving
from .begin import new_intent
from .context import MoveContext
from .copy_back_steps import is_gone, release
from .failpoints import reach
from .late import BOOT_SECONDS, mount_late
from .steps import ACTS, check_proved, leave_stopped, product_lock, start_again
from .undo import keep

UPGRADE_LOCK = upgrade.LOCK
"""The product's own upgrade holds it while it works; holding it keeps the upgrade away."""

TRIES = 3
"""How often the way forward is tried after the commit, before the run gives up for now."""

_ERRORS = (Exception,)
"""All errors: uid 999 may cause one that nobody thought of, and the stack is down."""


class StepFailed(Exception):
    """A step failed."""

    def __init__(self, step: str, error: Exception, committed: bool) -> None:
        self.step = step
        self.error = error
        self.committed = committed
        super().__init__(str(error))


class Runner:
    """One move, forward or back."""

    def __init__(self, move: MoveContext, say: Callable[[str], None] = lambda _text: None) -> None:
        self.move = move
        self.say = self.move.say = say

    def forward(self) -> None:
        """Do what is not done. Raises MoveGoneBack or MoveStuck."""
        failed: Optional[StepFailed] = None
        for _try in range(TRIES):
            try:
                self._pass()
                return
            except StepFailed as error:
                failed = error
                if not error.committed and self.back(error.step, str(error.error)):
                    raise self._gone_back(error.step, error.error) from error
        if failed is None:
            raise AssertionError("no attempt was made")
        self._start_anyway()
        raise self._stuck(failed.step, failed.error) from failed

    def _stuck(self, step: str, error: object) -> Refusal:
        move = self.move
        name, path = move.target.name, move.target.state_dir
        # What can't be looked at is not said to be gone.
        with suppress(*_ERRORS):
            if is_gone(move):
                uuid = move.intent.uuid
                return CopyGone(target=name, step=step, found=error, path=path, uuid=uuid)
        return MoveStuck(target=name, step=step, found=error, path=path, uuid=move.copy_uuid)

    def _gone_back(self, step: str, error: object) -> MoveGoneBack:
        return MoveGoneBack(
            target=self.move.target.name, step=step, found=error,
            path=self.move.source.state_dir,
        )  # fmt: skip

    def _pass(self) -> None:
        status = self.move.look()
        committed = status.committed
        if not committed:
            try:
                check_movable(status)
            except Refusal as refusal:
                raise StepFailed("check", refusal, False) from refusal
        for step in status.kind.steps:
            try:
                self._step(step)
            except _ERRORS as error:
                raise StepFailed(step, error, committed) from error
            committed = committed or step == COMMIT

    def _step(self, step: str) -> None:
        move = self.move
        # Docker is asked where its answer decides, and not while clients wait for it: `down`
        # has looked itself whether anything is left.
        status = move.look(containers=step == "stop" or step in move.fresh)
        if STEPS[step].done(status):
            return
        move.check_disks(status, step)
        self.say(STEPS[step].says(status))
        ledger.note(move.id, step, "begin", flush=False)
        reach(step, "before")
        keep(move, step, ACTS)
        ACTS[step].act(move)
        reach(step, "after")
        move.fresh.add(step)
        if not STEPS[step].done(move.look(containers=step == "start")):
            raise Failed("it was carried out, and yet the host does not show it")
        ledger.note(move.id, step, "done")

    def back(self, step: str, because: str) -> bool:
        """Undo what was done before the commit; the stack runs again. Raises MoveStuck.

        False when ``.env`` names the target and can't be written: then only the way
        forward leads to one place.
        """
        move = self.move
        intent = move.intent
        intent.direction, intent.because, intent.stopped_at = BACK, because, step
        with suppress(*_ERRORS):
            # Should even this fail, the way back goes on all the same.
            if os.path.lexists(ledger.INTENT):
                move.save()
        self.say(f"going back: {because}")
        failed: list[tuple[str, Exception]] = []
        for name in undoable(move.look()):
            if failed and name == "intent":
                break
            try:
                self._undo(name)
            except _ERRORS as error:
                failed.append((name, error))
            if name == COMMIT and (failed or move.look(containers=False).committed):
                try:
                    if self._settle():
                        return False
                except _ERRORS as error:
                    # Nothing may be started, or undone, by an .env of which nobody knows what a boot shows.
                    failed.append((name, error))
                    break
        if failed:
            raise MoveStuck(
                target=move.target.name, step=f"undo {failed[0][0]}", found=failed[0][1],
                uuid=move.uuid_before(), path=move.source.state_dir,
            )  # fmt: skip
        return True

    def _settle(self) -> bool:
        """Whether ``.env`` names the target, after its undo has failed; from here on that is so for good."""
        move = self.move
        move.settle_env()
        committed = move.look(containers=False).committed
        if committed:
            move.intent.direction = FORWARD
            move.save()
        return committed

    def _undo(self, step: str) -> None:
        """Each undo looks for itself what is there to be undone: a step may be done by half."""
        undo = ACTS[step].undo
        if undo is None:
            return
        if step in POINTS:
            self.move.check_data_disk()
        with suppress(OSError):
            ledger.note(self.move.id, step, "undo")
        reach(step, "undo_before")
        undo(self.move)
        reach(step, "undo_after")

    def _start_anyway(self) -> None:
        """After the commit: if the disk is where .env points, the stack can run while the rest waits."""
        status = self.move.look()
        if self.move.was_started:
            # It runs, or somebody has stopped it since.
            return
        if status.committed and status.there and status.superseded:
            with suppress(*_ERRORS):
                self.move.check_data_disk()
                check_proved(self.move)
                release(self.move)
                start_again(self.move)


def carry_out(
    request: Optional[MoveIntent], say: Callable[[str], None] = lambda _text: None
) -> dict[str, Any]:
    """Do what is asked, after ending what was interrupted. Returns what the result file holds.

    request: what a run asks for (see modules/move.py); None after a reboot.
    """
    intent = ledger.read_intent(ledger.INTENT)
    runner: Optional[Runner] = None
    # The newest run counts; after a boot it is that which has begun the move.
    newest = request or intent
    take_over(newest.environment if newest else {})
    with product_lock(UPGRADE_LOCK):
        if intent is not None:
            # A disk that came too late for the boot comes first: everything else is judged by what it shows.
            leave_stopped(MoveContext(intent), say)
            mount_late(MoveContext(intent), BOOT_SECONDS if request is None else 0.0, say)
            # What .env says may be a rename that was cut off before its flush, or whose flush has failed.
            MoveContext(intent).settle_env()
        if intent is not None and _goes_back(intent, request):
            runner = Runner(MoveContext(intent), say)
            runner.back(intent.stopped_at or "the request", intent.because or "asked")
            intent = None
            if request is None or request.direction == BACK:
                return _result(runner, runner.move.source.name)
        if intent is not None and (request is None or request.target == intent.target):
            runner = Runner(MoveContext(intent), say)
        elif request is not None and request.direction == BACK:
            # It went back by itself since it was asked for.
            return _nothing_done(request.source)
        elif request is not None:
            facts = moving.look(request.project_dir)
            if intent is None and _is_copied(request, facts):
                return _nothing_done(request.target)
            if intent is None and not points_to(facts["env"], LAYOUTS[request.target]):
                check_unchanged(request)
            runner = Runner(MoveContext(new_intent(request, facts, intent)), say)
        if runner is None:
            raise AssertionError("there is a request, or an intent")
        runner.forward()
        return _result(runner, runner.move.target.name)


def check_unchanged(request: MoveIntent) -> None:
    """Raise PlanStale when the host has changed since the move was planned.

    Asked here, under the locks of this host and of the product, with the very observation that
    the plan was made from; the next thing to come is the intent.
    """
    if not request.facts:
        return
    devices = request.devices
    now = facts_of(host.observe(devices["data"], devices["state"], request.project_dir))
    changes = changed(request.facts, now)
    if changes:
        raise PlanStale(plan="this run's plan", found=f"changed: {', '.join(changes)}")


def _nothing_done(layout: str) -> dict[str, Any]:
    return {"layout": layout, "move": "", "down_seconds": 0.0, "steps": []}


def _is_copied(request: MoveIntent, facts: MoveFacts) -> bool:
    """Whether another run has ended the copying since this one was planned: a second one has no source."""
    there = points_to(facts["env"], LAYOUTS[request.target])
    return kind_of(request).copies and there


def _goes_back(intent: MoveIntent, request: Optional[MoveIntent]) -> bool:
    """Whether a move that was interrupted is to be given up; once committed it never is."""
    if MoveContext(intent).look(containers=False).committed:
        return False
    return intent.direction != FORWARD or bool(request and request.direction == BACK)


def _result(runner: Runner, layout: str) -> dict[str, Any]:
    return {
        "layout": layout,
        "move": runner.move.id,
        "down_seconds": runner.move.down_seconds,
        "steps": sorted(runner.move.fresh),
    }


def run_requested(say: Callable[[str], None]) -> int:
    """What the unit runs: carry requests out until none is left. Returns the last one's exit status.

    One that comes while another is carried out, or while a move goes on after a boot, must not
    be taken away unread: a run waits for its result.
    """
    good = True
    with ledger.locked("a move", waits_for=ledger.PURGE):
        while True:
            request = ledger.read_intent(ledger.REQUEST)
            if request is None and ledger.read_intent(ledger.INTENT) is None:
                # Killed after its last act: systemd starts it again without a look at conditions.
                return 0 if good else 1
            if not _is_answered(request):
                good = _answer(request, say)
            left = ledger.read_intent(ledger.REQUEST)
            if left is not None and request is not None and left.request == request.request:
                ledger.remove(ledger.REQUEST)
                left = None
            if left is None:
                return 0 if good else 1


def _is_answered(request: Optional[MoveIntent]) -> bool:
    """Whether a process that was killed before it took the request away has left its result."""
    result = ledger.read(ledger.RESULT) or {}
    return request is not None and result.get("request") == request.request


def _answer(request: Optional[MoveIntent], say: Callable[[str], None]) -> bool:
    """Carry a request out, or go on with what a boot has interrupted, and leave the result."""
    asked = request or ledger.read_intent(ledger.INTENT)
    name = asked.request if asked else ""
    result: dict[str, Any] = {"request": name, "ok": True, "message": "", "code": ""}
    try:
        result.update(carry_out(request, say))
    except Refusal as refusal:
        result.update(ok=False, message=str(refusal), code=refusal.code)
    except (Failed, OSError) as error:
        result.update(ok=False, message=str(error))
    except Exception as error:
        result.update(ok=False, message=f"{type(error).__name__}: {error}")
    say(result["message"] or f"state is in layout {result['layout']}")
    try:
        ledger.write(ledger.RESULT, {**result, "at": ledger.now()})
    except OSError as error:
        # The unit's log has said it.
        say(f"the result can't be written: {error}")
    return bool(result["ok"])
