# SPDX-License-Identifier: GPL-3.0-or-later
"""What an audit says of a fleet: a table, a report for programs, and metrics of each host. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Optional

from .audit import ERROR, LEVELS, WARNING, Audited, Finding, not_reached

FORMAT = 1
"""Format of the report; a change that a reader would misread raises it."""

NEVER = "never"
FAILS_ON: Mapping[str, Sequence[str]] = {ERROR: (ERROR,), WARNING: (ERROR, WARNING), NEVER: ()}
"""What ``audit_fail_on`` may be -> the levels that make the run fail."""


def audited_of(audited: Optional[Audited]) -> Audited:
    """What was found on a host; where nothing is left of it, that it was not reached."""
    return audited or not_reached("its tasks did not come to their end")


def counts(findings: Sequence[Finding]) -> dict[str, int]:
    """How many findings there are of each level."""
    return {level: sum(each["level"] == level for each in findings) for level in LEVELS}


def _say_counts(numbers: Mapping[str, int]) -> str:
    said = [f"{number} {level}{'' if number == 1 else 's'}" for level, number in numbers.items()]
    return ", ".join(said)


def lines(hosts: Mapping[str, Audited]) -> list[str]:
    """One line a finding, hosts in the order of the inventory; a host without any is named, too."""
    width = max((len(name) for name in hosts), default=0)
    said = []
    for name, host in hosts.items():
        for each in host["findings"]:
            text = " ".join(each["sentence"].split())
            said.append(f"{name:<{width}}  {each['level']:<7}  {each['code']}  {text}")
        if not host["findings"]:
            layout = f", layout {host['layout']}" if host["layout"] else ""
            said.append(f"{name:<{width}}  well     no finding{layout}")
    every = [each for host in hosts.values() for each in host["findings"]]
    number = f"{len(hosts)} host{'' if len(hosts) == 1 else 's'}"
    return [*said, f"{number}: {_say_counts(counts(every))}"]


def report(hosts: Mapping[str, Audited]) -> dict[str, Any]:
    """The same for programs."""
    every = [each for host in hosts.values() for each in host["findings"]]
    return {
        "format": FORMAT,
        "counts": counts(every),
        "hosts": {
            name: {
                "layout": host["layout"],
                "counts": counts(host["findings"]),
                "findings": [dict(each) for each in host["findings"]],
            }
            for name, host in hosts.items()
        },
    }


def fails(hosts: Mapping[str, Audited], fail_on: str) -> list[str]:
    """The hosts for which the run fails. Raises ValueError for a ``fail_on`` that is none."""
    if fail_on not in FAILS_ON:
        raise ValueError(f"audit_fail_on is '{fail_on}', and may be {', '.join(FAILS_ON)}")
    levels = FAILS_ON[fail_on]
    return [
        name
        for name, host in hosts.items()
        if any(each["level"] in levels for each in host["findings"])
    ]


def _labels(**values: str) -> str:
    def escaped(value: str) -> str:
        return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

    return "{" + ",".join(f'{key}="{escaped(value)}"' for key, value in values.items()) + "}"


def _metric(name: str, about: str, samples: Sequence[tuple[str, int]]) -> list[str]:
    if not samples:
        return []
    return [
        f"# HELP {name} {about}",
        f"# TYPE {name} gauge",
        *(f"{name}{labels} {value}" for labels, value in samples),
    ]


def metrics(host: Audited, now: int) -> str:
    """A host's metrics in Prometheus' text format. now: seconds of the epoch."""
    findings = host["findings"]
    kinds = dict.fromkeys((each["code"], each["level"]) for each in findings)
    ends = host["certificate_seconds"]
    said = [
        *_metric("agnes_host_audit_time_seconds", "When the host was audited.", [("", now)]),
        *_metric(
            "agnes_host_audit_findings",
            "Findings of each level.",
            [(_labels(level=level), number) for level, number in counts(findings).items()],
        ),
        *_metric(
            "agnes_host_audit_finding",
            "Findings of each code; docs/errors.md explains it.",
            [
                (_labels(code=code, level=level), sum((e["code"], e["level"]) == (code, level) for e in findings))
                for code, level in kinds
            ],
        ),
        *_metric(
            "agnes_host_layout_info",
            "The layout that the host has.",
            [(_labels(layout=host["layout"]), 1)] if host["layout"] else [],
        ),
        *_metric(
            "agnes_host_certificate_end_time_seconds",
            "When the certificate in STATE_DIR ends.",
            [("", now + ends)] if ends is not None else [],
        ),
    ]  # fmt: skip
    return "".join(f"{line}\n" for line in said)
