#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the parts of the test suite one after the other and count what ran.

The last line has real counts: each unit test and testinfra check from the reports
that pytest wrote, each lint tool and each scenario as one.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
REPORTS = ROOT / ".cache" / "reports"

LINTERS = (
    ["ruff", "check", "."],
    ["ruff", "format", "--check", "."],
    ["mypy"],
    ["ansible-lint", "--offline"],
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


def count_report(path: Path) -> Count:
    """The counts of a report that pytest wrote; no report counts as one failure."""
    if not path.exists():
        return Count(failed=1)
    found = Count()
    for suite in ET.parse(path).getroot().iter("testsuite"):
        total = int(suite.get("tests", 0))
        bad = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        skipped = int(suite.get("skipped", 0))
        found.add(Count(total - bad - skipped, bad, skipped))
    return found


def _run(command: list[str]) -> bool:
    print(f"--- {' '.join(command)}", flush=True)
    return subprocess.run(command, cwd=ROOT, check=False).returncode == 0


def run_lint() -> Count:
    """Each tool counts as one."""
    results = [_run(command) for command in LINTERS]
    return Count(sum(results), len(results) - sum(results))


def run_tests(name: str) -> Count:
    """The tests of a folder."""
    report = REPORTS / f"{name}.xml"
    good = _run(["pytest", "-q", f"tests/{name}", f"--junit-xml={report}"])
    found = count_report(report)
    if not good and not found.failed:
        found.failed = 1
    return found


def run_shared(name: str) -> Count:
    """Those of torture, short unless TORTURE=full: shared out among as many processes as there are processors; the output of one is live."""
    count = os.cpu_count() or 1
    reports = [REPORTS / f"{name}-{number}.xml" for number in range(1, count + 1)]
    running, found = [], Count()
    for number, report in enumerate(reports, start=1):
        command = ["pytest", "-q", f"tests/{name}", f"--junit-xml={report}"]
        print(f"--- {' '.join(command)} ({number} of {count})", flush=True)
        running.append(
            subprocess.Popen(
                command, cwd=ROOT, text=True, stdout=subprocess.PIPE if number > 1 else None,
                env={**os.environ, "TORTURE_PART": f"{number}/{count}"},
            )
        )  # fmt: skip
    for process, report in zip(running, reports):
        output, _errors = process.communicate()
        print(output or "", end="", flush=True)
        part = count_report(report)
        if process.returncode and not part.failed:
            part.failed = 1
        found.add(part)
    return found


def run_scenario(name: str) -> Count:
    """A molecule scenario counts as one, beside its testinfra checks."""
    good = _run(["molecule", "test", "--scenario-name", name])
    found = count_report(REPORTS / f"{name}.xml")
    found.add(Count(passed=int(good), failed=int(not good)))
    return found


def main(parts: list[str]) -> int:
    """Run all parts, even after a failure; returns the exit status."""
    REPORTS.mkdir(parents=True, exist_ok=True)
    for report in REPORTS.glob("*.xml"):
        report.unlink()
    total, lines = Count(), []
    for part in parts:
        started = time.monotonic()
        if part == "lint":
            found = run_lint()
        elif part == "torture":
            found = run_shared(part)
        else:
            found = run_tests(part) if part in ("unit", "real") else run_scenario(part)
        total.add(found)
        lines.append(f"  {part:<20} {found}  ({time.monotonic() - started:.0f} s)")
    print("\nWhat ran:", *lines, sep="\n")
    print(total, flush=True)
    return 1 if total.failed or not total.passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
