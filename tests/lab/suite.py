# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the parts of the test suite, one more at once than there are processors, and count what ran.

Each line of output has its part's name before it. What a part that failed said last comes
again at the end, what failed in it comes once more under its counts, and the last line
has real counts: each test from the reports that pytest wrote, each lint tool and each scenario
as one.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
REPORTS = ROOT / ".cache" / "reports"
FOLDERS = ("unit", "real")
SHARED = "torture"
TAIL_LINES = 80

REASON = re.compile(r"fatal: |\bFAILED\b(?! - RETRYING)|\bERROR\b|Error: |^E  ")
"""How pytest, Ansible, Molecule and a traceback begin to say what went wrong."""
REASON_LINES = 6
REASON_WIDTH = 120
FAILED_LINES = 12
MESSAGE_WIDTH = 300
COLOUR = re.compile(r"\x1b\[[0-9;]*m")

LINTERS = (
    ["ruff", "check", "."],
    ["ruff", "format", "--check", "."],
    ["mypy"],
    ["ansible-lint", "--offline"],
    ["python", "tests/lab/sanity.py", "quick"],
)


@dataclass
class Count:
    """What ran."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def add(self, other: Count) -> None:
        """Add another count to this one."""
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped

    def __str__(self) -> str:
        """In the form that readers of test output know."""
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        return f"{self.passed} passed, {self.failed} failed{skipped}"


@dataclass(frozen=True)
class Job:
    """A part of the suite, or a share of one, that runs beside others."""

    name: str
    commands: Sequence[Sequence[str]]
    report: bool = True
    """Whether pytest writes a report of it."""
    counted: bool = False
    """Whether each command counts as one, too."""
    environment: Mapping[str, str] = field(default_factory=dict)


class Output:
    """What is kept of a job's output: its end, and where it first said what went wrong."""

    def __init__(self) -> None:
        self.tail = deque[str](maxlen=TAIL_LINES)
        self.reason: list[str] = []

    def add(self, line: str) -> None:
        """Take the next line."""
        self.tail.append(line)
        plain = COLOUR.sub("", line).strip(" \n│")
        wanted = self.reason or REASON.search(plain)
        if plain and wanted and len(self.reason) < REASON_LINES:
            self.reason.append(plain[:REASON_WIDTH])


@dataclass(frozen=True)
class Result:
    """How a job ended."""

    job: Job
    count: Count
    seconds: float
    output: Output


def jobs_of(part: str) -> list[Job]:
    """A part's jobs: torture, short unless TORTURE=full, is shared out among the processors."""
    if part == "lint":
        return [Job(part, LINTERS, report=False, counted=True)]
    if part in FOLDERS:
        return [_tests(part, part, {})]
    if part == SHARED:
        count = os.cpu_count() or 1
        return [
            _tests(part, f"{part}-{number}", {"TORTURE_PART": f"{number}/{count}"})
            for number in range(1, count + 1)
        ]
    return [Job(part, [["molecule", "test", "--scenario-name", part]], counted=True)]


def report_of(name: str) -> Path:
    """Where a job's tests write their report."""
    return REPORTS / f"{name}.xml"


def _tests(folder: str, name: str, environment: Mapping[str, str]) -> Job:
    command = ["pytest", "-q", f"tests/{folder}", f"--junit-xml={report_of(name)}"]
    return Job(name, [command], environment=environment)


def count_report(path: Path) -> Count:
    """The counts of a report that pytest wrote; no report counts as one failure."""
    if not path.exists():
        return Count(failed=1)
    count = Count()
    for suite in ET.parse(path).getroot().iter("testsuite"):
        total = int(suite.get("tests", 0))
        bad = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        skipped = int(suite.get("skipped", 0))
        count.add(Count(total - bad - skipped, bad, skipped))
    return count


def failed_tests(path: Path) -> list[str]:
    """The name of each test that failed, and how its message begins."""
    if not path.exists():
        return []
    lines = []
    for case in ET.parse(path).getroot().iter("testcase"):
        for bad in (*case.findall("failure"), *case.findall("error")):
            message = " ".join((bad.get("message") or "").split())
            # A message may be all that a playbook printed.
            start = max(message.find("[ERROR]: "), 0)
            lines.append(f"{case.get('name')}: {message[start : start + MESSAGE_WIDTH]}")
    return lines[:FAILED_LINES]


def run(job: Job) -> Result:
    """Run a job to its end, telling what it prints."""
    started, output = time.monotonic(), Output()
    good = [_run(job, command, output) for command in job.commands]
    count = count_report(report_of(job.name)) if job.report else Count()
    if job.counted:
        count.add(Count(sum(good), len(good) - sum(good)))
    elif not all(good) and not count.failed:
        count.failed = 1
    return Result(job, count, time.monotonic() - started, output)


def _run(job: Job, command: Sequence[str], output: Output) -> bool:
    print(f"{job.name} | --- {' '.join(command)}", flush=True)
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        errors="replace", env={**os.environ, **job.environment},
    )  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:
        output.add(line)
        print(f"{job.name} | {line}", end="", flush=True)
    return process.wait() == 0


def main(parts: list[str]) -> int:
    """Run all parts, even after a failure; returns the exit status."""
    REPORTS.mkdir(parents=True, exist_ok=True)
    for report in REPORTS.glob("*.xml"):
        report.unlink()
    jobs = [job for part in parts for job in jobs_of(part)]
    # One more: a scenario waits for its host half of the time.
    with ThreadPoolExecutor((os.cpu_count() or 1) + 1) as pool:
        results = list(pool.map(run, jobs))
    for result in results:
        if result.count.failed:
            print(
                f"\n{result.job.name} failed; its last lines:\n{''.join(result.output.tail)}",
                end="",
            )
    total = Count()
    print("\nWhat ran:")
    for result in results:
        total.add(result.count)
        print(f"  {result.job.name:<20} {result.count}  ({result.seconds:.0f} s)")
        if result.count.failed:
            lines = failed_tests(report_of(result.job.name)) or result.output.reason
            print("".join(f"      {line}\n" for line in lines), end="")
    print(total, flush=True)
    return 1 if total.failed or not total.passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
