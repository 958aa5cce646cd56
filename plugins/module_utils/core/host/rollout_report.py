# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of a rollout: what became of each host, for people and for programs. No I/O.

A report is data and nothing else; plugins/filter/rollout_report.py makes the page of it. Several reports
(shards of one rollout, or a run and the one that went on after it) are joined into one. docs/report.md has
the fields.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, Optional, TypedDict, cast

from ..move.move_errors import MoveGoneBack
from .text import clean, hide

FORMAT = 1
"""Format of the report; a change that a reader would misread raises it."""

FAILED, LOST, BACK, REFUSED = "failed", "lost", "back", "refused"
UNTOUCHED, UNDECIDED, DONE, NOTHING = "untouched", "undecided", "done", "nothing"
OUTCOMES: Mapping[str, str] = {
    FAILED: "failed",
    LOST: "lost (not reached)",
    BACK: "failed, went back",
    REFUSED: "refused",
    UNTOUCHED: "untouched",
    UNDECIDED: "undecided",
    DONE: "done",
    NOTHING: "nothing to do",
}
"""What may become of a host, the worst first, and how it is said."""
TROUBLE = (FAILED, LOST, BACK, REFUSED)

_LOG = re.compile(r"; its log ends with: (.*?)(?= -- \S+ is |; see 'docker compose logs|$)")
"""How a message has the end of a service's log (system/compose/stacks.py)."""
_LINES = " | "
TIME = "%Y-%m-%dT%H:%M:%SZ"
_MOST_CHANGES = 60
"""How many changes of a host are kept."""
_TICKS = 4
"""How many parts the scale of the time line has."""
_CODE = re.compile(r"\b(AH\d{3}): ")
_SECTION = re.compile(r"^### (AH\d{3}) (.*)$", re.MULTILINE)
_COMMAND = "      "
"""How a line of commands begins, below an item of a list."""
_LINK = re.compile(r"\[([^\]]+)\]\([^)]+\)")
_ITEM = re.compile(r"^- \*(What|Why|Do|Verify)\.\* ", re.MULTILINE)


class Change(TypedDict):
    """One thing that a run changes on a host."""

    what: str
    before: str
    after: str


class HostReport(TypedDict):
    """What became of one host."""

    host: str
    deployment: str
    wave: str
    """Name of its wave; empty for a host in none."""
    outcome: str
    """Of OUTCOMES."""
    code: str
    """Of the refusal or the failure; empty where there is none."""
    message: str
    log: list[str]
    """How the log ends of what failed, the oldest line first."""
    does: list[str]
    """What the plan was: format, move, copy, change, refuse, nothing."""
    planned: str
    """The plan's line."""
    source: str
    target: str
    """Layout before, and the one that the plan wants; empty where it is not known."""
    changes: int
    changed: list[Change]
    """What the plan changes, as far as the run kept it."""
    began: str
    ended: str
    """UTC, as 2026-11-28T21:42:41Z; empty where it has not."""
    downtime_expected: str
    downtime_seconds: Optional[float]
    """From the stop of the stack until it was started again; None where it was not measured."""
    bytes: int
    """That the plan copies."""
    proofs: list[str]
    """What the gate has seen."""


class WaveReport(TypedDict):
    """One wave, canary, soak or check."""

    name: str
    kind: str
    hosts: list[str]
    began: str
    ended: str


def split_log(message: str) -> tuple[str, list[str]]:
    """A message without the ends of logs that are in it, and their lines."""
    logs = _LOG.findall(message)
    return _LOG.sub("", message), [line for log in logs for line in log.split(_LINES)]


def proofs(proved: Mapping[str, Any], images: str, row: str) -> list[str]:
    """What a gate has seen, a sentence each.

    proved: container -> the paths that were proved in it; images: those that run, for people; row: what the app answered to the row that was committed, and
    read back; empty where none was.
    """
    sentences = []
    if proved:
        where = (
            f"{len(proved)} container{'s' if len(proved) > 1 else ''}: {', '.join(sorted(proved))}"
        )
        sentences.append(
            f"the stack is healthy, and data and state are on their disks, as seen inside of {where}"
        )
    if images:
        sentences.append(f"each container runs the image that its service names: {images}")
    if row:
        sentences.append(f"a row was committed through the app and read back ({row})")
    return sentences


def _host(said: Mapping[str, Any]) -> HostReport:
    message, log = split_log(" ".join(str(said.get("message") or "").split()))
    match = _CODE.search(message)
    code = str(said.get("code") or (match[1] if match else ""))
    if match and match[1] == code:
        # The page has the code beside it, and what Ansible and a task's name put before says no more.
        message = message[match.end() :]
    outcome = str(said.get("outcome") or UNTOUCHED)
    if outcome == FAILED and (said.get("back") or code == MoveGoneBack.code):
        outcome = BACK
    elif outcome == NOTHING and said.get("stage") == UNDECIDED:
        outcome = UNDECIDED
    downtime = said.get("downtime")
    return {
        "host": str(said["name"]),
        "deployment": str(said.get("deployment") or ""),
        "wave": str(said.get("wave") or ""),
        # What this version does not know is nothing to be calm about.
        "outcome": outcome if outcome in OUTCOMES else FAILED,
        "code": code,
        "message": message,
        "log": [*log, *(str(line) for line in said.get("log") or [])],
        "does": [str(what) for what in said.get("does") or []],
        "planned": str(said.get("planned") or ""),
        "source": str(said.get("source") or ""),
        "target": str(said.get("target") or ""),
        "changes": int(said.get("changes") or 0),
        "changed": [
            {"what": str(each["what"]), "before": str(each["before"]), "after": str(each["after"])}
            for each in list(said.get("changed") or [])[:_MOST_CHANGES]
        ],
        "began": str(said.get("began") or ""),
        "ended": str(said.get("ended") or ""),
        "downtime_expected": str(said.get("downtime_expected") or ""),
        "downtime_seconds": None if downtime is None else float(downtime),
        "bytes": int(said.get("bytes") or 0),
        "proofs": [str(proof) for proof in said.get("proofs") or []],
    }


def _wave(said: Mapping[str, Any]) -> WaveReport:
    return {
        "name": str(said["name"]),
        "kind": str(said.get("kind") or ""),
        "hosts": [str(name) for name in said.get("hosts") or []],
        "began": str(said.get("began") or ""),
        "ended": str(said.get("ended") or ""),
    }


def _hidden(value: Any, secrets: Sequence[str]) -> Any:
    """A value of plain data without any of ``secrets`` in its texts."""
    if isinstance(value, str):
        return hide(value, secrets)
    if isinstance(value, Mapping):
        return {key: _hidden(each, secrets) for key, each in value.items()}
    return [_hidden(each, secrets) for each in value] if isinstance(value, list) else value


def report(result: Mapping[str, Any], secrets: Iterable[str] = ()) -> dict[str, Any]:
    """The report of one run.

    result: the fact ``rollout_result`` (waves.py); secrets: values that must not be in the report, wherever a
    message had them.
    """
    waves = [_wave(said) for said in result.get("waves") or []]
    hosts = [_host(said) for said in result.get("hosts") or []]
    at = str(result.get("at") or "")
    deployments = {each["deployment"] for each in hosts}
    run = {
        # A shard is a deployment, and is called so.
        "name": "".join(deployments) if len(deployments) == 1 else "",
        "controller": str(result.get("controller") or ""),
        "began": str(
            result.get("began") or min((w["began"] for w in waves if w["began"]), default=at)
        ),
        # When this was written; the run's end, if it has ended.
        "at": at,
        "ended": bool(result.get("ended")),
        "halt": str(result.get("halt") or ""),
        "check": bool(result.get("check")),
        "failures": int(result.get("failures") or 0),
        "max_failures": int(result.get("max_failures") or 0),
    }
    hidden = [*secrets]
    return _whole(
        [_hidden(clean(run), hidden)],
        _hidden(clean(waves), hidden),
        _hidden(clean(hosts), hidden),
    )


def _counts(hosts: Sequence[HostReport]) -> dict[str, int]:
    numbers = {outcome: sum(each["outcome"] == outcome for each in hosts) for outcome in OUTCOMES}
    return {outcome: number for outcome, number in numbers.items() if number}


def right(counts: Mapping[str, int]) -> int:
    """How many hosts are as the inventory wants them."""
    return counts.get(DONE, 0) + counts.get(NOTHING, 0)


def _whole(
    runs: Sequence[Mapping[str, Any]], waves: Sequence[WaveReport], hosts: Sequence[HostReport]
) -> dict[str, Any]:
    """A report with what follows from its runs, waves and hosts."""
    downtimes = [each["downtime_seconds"] or 0.0 for each in hosts]
    deployments = dict.fromkeys(each["deployment"] for each in hosts)
    return {
        "format": FORMAT,
        "began": min(run["began"] for run in runs),
        "at": max(run["at"] for run in runs),
        "ended": all(run["ended"] for run in runs),
        "runs": [dict(run) for run in runs],
        "counts": _counts(hosts),
        "totals": {
            "hosts": len(hosts),
            "bytes": sum(each["bytes"] for each in hosts if each["outcome"] == DONE),
            "downtime_seconds": round(sum(downtimes), 1),
            "downtime_seconds_most": max(downtimes, default=0.0),
        },
        "deployments": [
            {
                "name": name,
                "counts": _counts([each for each in hosts if each["deployment"] == name]),
            }
            for name in deployments
        ],
        "waves": list(waves),
        "hosts": list(hosts),
    }


def join(reports: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One report of several, in the order of their begin; of a host that is in more than one, the last word counts.

    Raises ValueError for none, and for a report of a format that this version does not know.
    """
    if not reports:
        raise ValueError("no report was named")
    for each in reports:
        if each.get("format") != FORMAT:
            raise ValueError(
                f"a report has format {each.get('format')}, and this version reads format {FORMAT}"
            )
    ordered = sorted(reports, key=lambda each: str(each["began"]))
    hosts: dict[str, HostReport] = {}
    waves: list[WaveReport] = []
    for each in ordered:
        names = {wave["name"] for wave in waves}
        label = each["runs"][0]["name"] or str(len(waves))
        renamed = {
            wave["name"]: f"{label}: {wave['name']}" if wave["name"] in names else wave["name"]
            for wave in each["waves"]
        }
        waves += [
            cast(WaveReport, {**wave, "name": renamed[wave["name"]]}) for wave in each["waves"]
        ]
        for host in each["hosts"]:
            # A run that did not come to a host says nothing of what the one before did with it.
            if host["host"] not in hosts or host["outcome"] != UNTOUCHED:
                wave = renamed.get(host["wave"], host["wave"])
                hosts[host["host"]] = cast(HostReport, {**host, "wave": wave})
    runs = [run for each in ordered for run in each["runs"]]
    return _whole(runs, waves, list(hosts.values()))


def _prose(item: str) -> str:
    """An item of the manual: its text on one line, each line of commands on its own, links as what they say."""
    lines = [
        f"\n{line.strip()}\n" if line.startswith(_COMMAND) else line.strip()
        for line in _LINK.sub(r"\1", item).splitlines()
    ]
    return re.sub(r"\s*\n\s*", "\n", " ".join(lines)).strip()


def remedies(manual: str, codes: Iterable[str]) -> dict[str, dict[str, str]]:
    """Code -> ``title``, ``what``, ``why``, ``do`` and ``verify``, for those of ``codes`` that the manual has.

    manual: the text of docs/errors.md.
    """
    parts = _SECTION.split(manual)[1:]
    wanted, sections = set(codes), {}
    for code, title, text in zip(parts[::3], parts[1::3], parts[2::3]):
        if code in wanted:
            items = _ITEM.split(re.split(r"^## ", text, maxsplit=1, flags=re.MULTILINE)[0])[1:]
            said = {key.lower(): _prose(item) for key, item in zip(items[::2], items[1::2])}
            sections[code] = {"title": title, **said}
    return sections


def seconds_of(time: str) -> Optional[float]:
    """Seconds of the epoch of a time as reports have it; None for an empty one."""
    if not time:
        return None
    return datetime.strptime(time, TIME).replace(tzinfo=timezone.utc).timestamp()


class _Line:
    """The time line of a page: places on it are percent."""

    def __init__(self, began: str, at: str) -> None:
        self.first = seconds_of(began) or 0.0
        self.seconds = max((seconds_of(at) or 0.0) - self.first, 0.0)

    def place(self, time: str) -> float:
        """Where a time is; one that is not known is at the end."""
        seconds = seconds_of(time)
        if seconds is None or not self.seconds:
            return 100.0
        return round(100 * min(max(seconds - self.first, 0.0), self.seconds) / self.seconds, 2)

    def stretch(self, began: str, ended: str) -> Optional[dict[str, float]]:
        """Left edge and width of what began and ended then; None for what has not begun."""
        if not began:
            return None
        left = self.place(began) if self.seconds else 0.0
        return {"left": left, "width": round(max(self.place(ended) - left, 0.0), 2)}

    def ticks(self) -> list[dict[str, Any]]:
        """Places with their times, for the scale."""
        times = [self.first + self.seconds * part / _TICKS for part in range(_TICKS + 1)]
        return [
            {
                "place": 100 * part / _TICKS,
                "time": datetime.fromtimestamp(time, timezone.utc).strftime(TIME),
            }
            for part, time in enumerate(times)
        ]

    @staticmethod
    def seconds_between(began: str, ended: str) -> Optional[float]:
        """How long it took; None for what has not begun or not ended."""
        first, last = seconds_of(began), seconds_of(ended)
        return None if first is None or last is None else last - first


def _troubles(hosts: Sequence[HostReport]) -> list[dict[str, Any]]:
    """The hosts to care for, the worst first; those with one code, or else one message, together."""
    groups: dict[tuple[str, str], list[HostReport]] = {}
    for outcome in TROUBLE:
        for each in hosts:
            if each["outcome"] == outcome:
                groups.setdefault((outcome, each["code"] or each["message"]), []).append(each)
    return [
        {"outcome": outcome, "code": group[0]["code"], "hosts": group}
        for (outcome, _what), group in groups.items()
    ]


def _state(rollout: Mapping[str, Any]) -> str:
    """One word for the whole: running, stopped, trouble, planned or done."""
    if any(run["halt"] for run in rollout["runs"]):
        return "stopped"
    if not rollout["ended"]:
        return "running"
    if any(outcome in rollout["counts"] for outcome in TROUBLE):
        return "trouble"
    return "planned" if any(run["check"] for run in rollout["runs"]) else "done"


def view(rollout: Mapping[str, Any], manual: str) -> dict[str, Any]:
    """What a page shows of a report: positions of bars, hosts to care for, and what to do for each code.

    manual: the text of docs/errors.md.
    """
    hosts: Sequence[HostReport] = rollout["hosts"]
    line = _Line(rollout["began"], rollout["at"])
    most = rollout["totals"]["downtime_seconds_most"] or 1.0
    troubles = _troubles(hosts)
    return {
        "report": rollout,
        "state": _state(rollout),
        "seconds": line.seconds,
        "ticks": line.ticks(),
        "longest": next((each["host"] for each in hosts if each["downtime_seconds"] == most), ""),
        "troubles": troubles,
        "remedies": remedies(manual, {trouble["code"] for trouble in troubles}),
        "waves": [
            {
                **wave,
                "bar": line.stretch(wave["began"], wave["ended"]),
                "seconds": line.seconds_between(wave["began"], wave["ended"]),
                "counts": _counts([each for each in hosts if each["host"] in wave["hosts"]]),
            }
            for wave in rollout["waves"]
        ],
        "hosts": [
            {
                **each,
                "bar": line.stretch(each["began"], each["ended"]),
                "seconds": line.seconds_between(each["began"], each["ended"]),
                "downtime_part": round(100 * (each["downtime_seconds"] or 0.0) / most, 2),
            }
            for each in hosts
        ],
    }


def say_seconds(seconds: Optional[float]) -> str:
    """A duration, for people."""
    if seconds is None:
        return "-"
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 1:
        return f"{rest} s"
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"
