# SPDX-License-Identifier: GPL-3.0-or-later
"""The suite says under a failed part's counts how that began."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import suite

RETRY = "FAILED - RETRYING: [agnes]: Wait for its engine (60 retries left).\n"
MOLECULE = "\x1b[2m│\x1b[0m  \x1b[31mfatal: [agnes]: FAILED! => no such device\x1b[0m\n"


def script(text: str, status: int) -> list[str]:
    """A command that prints a text and ends with a status."""
    return [sys.executable, "-c", f"import sys; sys.stdout.write({text!r}); sys.exit({status})"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"all is well\n{RETRY}", []),
        (f"{RETRY}{MOLECULE}\n  it was there\n", ["fatal: [agnes]: FAILED! => no such device", "it was there"]),
        ("E   assert 1 == 2\n", ["E   assert 1 == 2"]),
        ("Error: " + "x" * 500 + "\n" + "more\n" * 50, ["Error: " + "x" * 113, *["more"] * 5]),
    ],
)  # fmt: skip
def test_the_first_lines_that_say_what_was_wrong_are_kept(text: str, reason: list[str]) -> None:
    output = suite.Output()
    for line in text.splitlines(keepends=True):
        output.add(line)
    assert output.reason == reason


def test_a_failed_part_says_so_again_at_the_end(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    jobs = {
        "good": suite.Job("good", [script("ERROR: mended\n", 0)], report=False, counted=True),
        "bad": suite.Job("bad", [script(MOLECULE, 3)], report=False, counted=True),
    }
    monkeypatch.setattr(suite, "REPORTS", tmp_path)
    monkeypatch.setattr(suite, "jobs_of", lambda part: [jobs[part]])
    assert suite.main(["good", "bad"]) == 1
    summary = capfd.readouterr().out.partition("What ran:\n")[2]
    good, bad, reason, total = summary.splitlines()
    assert good.split()[:3] == ["good", "1", "passed,"]
    assert bad.split()[:5] == ["bad", "0", "passed,", "1", "failed"]
    assert reason.strip() == "fatal: [agnes]: FAILED! => no such device"
    assert total == "1 passed, 1 failed"


def test_each_test_that_failed_is_named_with_the_beginning_of_its_message(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text(
        "<testsuites><testsuite><testcase name='good'/>"
        "<testcase name='bad'><failure message='assert 1 == 2'/></testcase>"
        "<testcase name='play'><failure message='PLAY [x] TASK [y] [ERROR]: Task failed'/></testcase>"
        "<testcase name='never'><error message='no fixture'/></testcase></testsuite></testsuites>"
    )
    assert suite.failed_tests(report) == [
        "bad: assert 1 == 2", "play: [ERROR]: Task failed", "never: no fixture",
    ]  # fmt: skip
    assert suite.failed_tests(tmp_path / "none.xml") == []
