# SPDX-License-Identifier: GPL-3.0-or-later
"""The waves of a rollout, whether the next one may begin, and what is known of each host after one."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .errors import Refusal
from .fleet_errors import BadSetting, CanaryFailed, Frozen, StopFile, TooManyFailures
from .rollout import CANARY, CHECK, NOTHING, REFUSED, UNDECIDED, WAVE

SETTINGS: dict[str, Any] = {
    "rollout_waves": [1, "25%"],
    "rollout_max_failures": 0,
    "rollout_soak": 0,
    "rollout_stop_file": "rollout.stop",
    "rollout_not_between": [],
}
"""What a run may be told, and what it is told otherwise."""

VARIABLES = (
    "agnes_deployment", "rollout_canary", "rollout_row_url", "rollout_image_digest", "rollout_take_over", "rollout_report",
    "rollout_go_back", *SETTINGS,
)  # fmt: skip
"""What the playbooks read of an inventory, beside the variables of the roles."""

SOAK = "soak"
"""A wave of this kind touches nothing: the canaries are looked at."""
_LOOK_SECONDS = 30

DONE, FAILED, LOST, UNTOUCHED = "done", "failed", "lost", "untouched"
OUTCOMES = (DONE, NOTHING, FAILED, LOST, REFUSED, UNTOUCHED)
"""Of a host, in the order of the summary. Lost: Ansible could not reach it, in the plan or in its turn."""
WELL = (DONE, NOTHING)

_SHOWN = 5
"""How many hosts a sentence names."""
_PERCENT = re.compile(r"(\d+) ?%")
_TIME = r"(?:[01]\d|2[0-3]):[0-5]\d"
_WINDOW = re.compile(f"{_TIME}-{_TIME}")
_CODE = re.compile(r"\bAH\d{3}\b")


@dataclass(frozen=True)
class Settings:
    """Those of a run, checked."""

    waves: tuple[str, ...]
    """Sizes of the waves, each a number or a percentage; the last one counts for all that follow."""
    max_failures: int
    soak: int
    """Seconds."""
    stop_file: str
    """On the controller; empty for none."""
    not_between: tuple[str, ...]
    """HH:MM-HH:MM, local time of the controller."""


def _list(value: Any) -> list[str]:
    """A setting as texts; on the command line a list is one text with commas."""
    if isinstance(value, str):
        value = value.strip("[] ").split(",")
    parts = value if isinstance(value, (list, tuple)) else [value]
    return [text for part in parts if (text := str(part).strip(" '\""))]


def _number(name: str, value: Any) -> int:
    text = str(value).strip()
    if not text.isdecimal():
        raise BadSetting(name=name, found=value, wanted="a whole number")
    return int(text)


def _is_size(text: str) -> bool:
    percent = _PERCENT.fullmatch(text)
    if percent:
        return 0 < int(percent[1]) <= 100
    return text.isdecimal() and int(text) > 0


def settings(said: Mapping[str, Any]) -> Settings:
    """What ``said`` sets, by the names of SETTINGS; None is not set. Raises BadSetting."""
    value = {
        name: default if said.get(name) is None else said[name]
        for name, default in SETTINGS.items()
    }
    sizes, windows = _list(value["rollout_waves"]), _list(value["rollout_not_between"])
    if not sizes or not all(map(_is_size, sizes)):
        wanted = "a number of hosts, a percentage such as 25%, or a list of these"
        raise BadSetting(name="rollout_waves", found=value["rollout_waves"], wanted=wanted)
    for window in windows:
        if not _WINDOW.fullmatch(window):
            wanted = "times such as 07:00-19:00, or a list of these"
            raise BadSetting(name="rollout_not_between", found=window, wanted=wanted)
    return Settings(
        waves=tuple(sizes),
        max_failures=_number("rollout_max_failures", value["rollout_max_failures"]),
        soak=_number("rollout_soak", value["rollout_soak"]),
        stop_file=str(value["rollout_stop_file"]),
        not_between=tuple(windows),
    )


def _sizes(sizes: Sequence[str], hosts: int) -> list[int]:
    """How many hosts each wave has; a percentage is of all, rounded down, and at least one."""
    per_wave: list[int] = []
    while sum(per_wave) < hosts:
        size = sizes[min(len(per_wave), len(sizes) - 1)]
        percent = _PERCENT.fullmatch(size)
        per_wave.append(max(1, hosts * int(percent[1]) // 100) if percent else int(size))
    return per_wave


def waves(planned: Mapping[str, Mapping[str, Any]], said: Settings) -> list[dict[str, Any]]:
    """The waves in order: ``name``, ``kind``, ``hosts``; of a soak also ``looks`` and ``seconds`` before each.

    planned: host -> ``stage``, ``deployment`` and ``right``. Hosts that are right are checked first, all at once: the
    plan has seen all that their gate asks. Each canary is a wave of its own.
    """
    right = [name for name, host in planned.items() if host["right"]]
    canaries = [name for name, host in planned.items() if host["stage"] == CANARY]
    others = [name for name, host in planned.items() if host["stage"] == WAVE]
    turns: list[dict[str, Any]] = []
    if right:
        turns.append({"name": "check of hosts that are right", "kind": CHECK, "hosts": right})
    turns += [
        {"name": f"canary of {planned[name]['deployment']}", "kind": CANARY, "hosts": [name]}
        for name in canaries
        if name not in right
    ]
    if said.soak and canaries:
        looks = -(-said.soak // _LOOK_SECONDS)
        soak = {"name": f"soak of {said.soak} s", "kind": SOAK, "hosts": canaries}
        turns.append({**soak, "looks": looks, "seconds": -(-said.soak // looks)})
    sizes, first = _sizes(said.waves, len(others)), 0
    for number, size in enumerate(sizes, start=1):
        hosts = others[first : first + size]
        turns.append({"name": f"wave {number} of {len(sizes)}", "kind": WAVE, "hosts": hosts})
        first += size
    return turns


def some(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _within(window: str, now: str) -> bool:
    """Whether a time of the day is in a window; the window may go over midnight."""
    first, last = window.split("-")
    return first <= now < last if first <= last else now >= first or now < last


def count_failures(hosts: Iterable[Mapping[str, Any]]) -> list[str]:
    """The hosts of a result that count against the limit: those that failed, and those that are lost."""
    return [host["name"] for host in hosts if host["outcome"] in (FAILED, LOST)]


def check_begin(
    said: Settings, hosts: Sequence[Mapping[str, Any]], stopped: bool, now: str
) -> None:
    """Raise a Refusal unless the next wave may begin.

    hosts: those of the result up to now; stopped: whether the stop file exists; now: HH:MM on the controller.
    """
    if stopped:
        raise StopFile(path=said.stop_file)
    for window in said.not_between:
        if _within(window, now):
            raise Frozen(now=now, window=window)
    failures = count_failures(hosts)
    canaries = [
        host["name"] for host in hosts if host["stage"] == CANARY and host["name"] in failures
    ]
    if canaries:
        raise CanaryFailed(hosts=some(canaries))
    if len(failures) > said.max_failures:
        raise TooManyFailures(hosts=some(failures), count=len(failures), limit=said.max_failures)


def halted(said: Settings, hosts: Sequence[Mapping[str, Any]], stopped: bool, now: str) -> str:
    """Why the next wave must not begin; empty if it may."""
    try:
        check_begin(said, hosts, stopped, now)
    except Refusal as refusal:
        return str(refusal)
    return ""


def _outcome(planned: Mapping[str, Any], reached: bool, turn: Mapping[str, Any]) -> str:
    if not reached:
        return LOST
    if planned["stage"] == REFUSED:
        return REFUSED
    if planned["stage"] == UNDECIDED:
        return NOTHING
    if turn.get("failed"):
        return FAILED
    if not turn.get("ended"):
        return UNTOUCHED
    return NOTHING if planned["does"] == [NOTHING] else DONE


def _message(outcome: str, planned: Mapping[str, Any], turn: Mapping[str, Any], halt: str) -> str:
    """Why a host is not as it shall be; empty if it is."""
    if outcome == LOST:
        when = "ended" if turn.get("ended") else "begun"
        return "it could not be reached" + (f", after its turn had {when}" if turn else "")
    said = {REFUSED: planned["refusal"], FAILED: turn.get("failed"), UNTOUCHED: halt}
    return str(said.get(outcome) or "")


def _host(
    name: str, planned: Mapping[str, Any], wave: str, reached: bool, said: Mapping[str, Any], halt: str
) -> dict[str, Any]:  # fmt: skip
    turn = said["turn"]
    outcome = _outcome(planned, reached, turn)
    message = _message(outcome, planned, turn, halt)
    code = _CODE.search(message)
    shown = ("deployment", "stage", "does", "planned", "source", "target", "bytes", "changes")
    return {
        "name": name,
        **{key: planned[key] for key in shown},
        "wave": wave,
        "began": turn.get("began", ""),
        "ended": turn.get("ended", ""),
        "outcome": outcome,
        "code": code[0] if code else "",
        "back": outcome == FAILED and bool(turn.get("back")),
        "message": message,
        "downtime": said["downtime"],
    }


def _summary(hosts: Sequence[Mapping[str, Any]], halt: str) -> list[str]:
    """A line for each outcome with its hosts, a line for each host that is not well, and what stopped the run."""
    by = {word: [h["name"] for h in hosts if h["outcome"] == word] for word in OUTCOMES}
    counts = [f"{word:<9} {len(names)}: {', '.join(names)}" for word, names in by.items() if names]
    why = [
        f"{h['name']}: {h['outcome']}: {h['message']}"
        for h in hosts
        if h["outcome"] not in (*WELL, UNTOUCHED)
    ]
    return [*counts, *why, *([f"stopped: {halt}"] if halt else [])]


def result(
    planned: Mapping[str, Mapping[str, Any]],
    waves: Sequence[Mapping[str, Any]],
    said: Mapping[str, Mapping[str, Any]],
    reached: Collection[str],
    times: Mapping[str, Sequence[str]],
    max_failures: int,
    halt: str,
    now: str,
    ended: bool,
) -> dict[str, Any]:
    """What is known of a rollout: the variable ``rollout_result``, documented in docs/fleet.md.

    planned: host -> ``deployment``, ``stage``, ``refusal`` and what rollout.row() says. waves: as ``waves``.
    said: host -> what it has left: ``turn`` (``began``, ``ended``, ``failed``, why it failed, and ``back``, whether it
    then went back to the layout before; empty before its turn) and ``downtime``, in seconds, or None.
    reached: the hosts that Ansible still has.
    times: wave -> when it began, and when it ended if it has. max_failures: the limit. halt: why no further wave begins.
    now: UTC. ended: whether this is the end of the run.
    """
    own = {name: wave["name"] for wave in waves if wave["kind"] != SOAK for name in wave["hosts"]}
    hosts = [
        _host(name, host, own.get(name, ""), name in reached, said[name], halt)
        for name, host in planned.items()
    ]
    return {
        "format": 1,
        "at": now,
        "ended": ended,
        "halt": halt,
        "failures": len(count_failures(hosts)),
        "max_failures": max_failures,
        "counts": {
            word: count
            for word in OUTCOMES
            if (count := sum(host["outcome"] == word for host in hosts))
        },
        "waves": [
            {
                **{key: wave[key] for key in ("name", "kind", "hosts")},
                **dict(zip(("began", "ended"), [*times.get(wave["name"], []), "", ""])),
            }
            for wave in waves
        ],
        "hosts": hosts,
        "summary": _summary(hosts, halt),
    }
