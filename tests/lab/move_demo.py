# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo host moves from nested to flat under load, is killed in the middle, and is run again.

Run by ``make demo-move``, on the host of ``make demo``, which is made anew in layout nested. With a file's
name it records what happens, as a picture: ``make demo-move RECORD=docs/move.svg``.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from textwrap import dedent

import yaml
from recording import Line, picture

HOST = "agnes-demo"
ROOT = Path(__file__).resolve().parents[2]
LOAD = ROOT / "molecule" / "shared" / "files" / "load.py"
ANSWERS = "/srv/load.jsonl"
KILL_AFTER = "commit"
"""The step after which the runner of the move is killed: .env names the new layout, nothing else is done yet."""


def on_host(command: str) -> str:
    """The output of a shell command on the demo host, empty when it fails."""
    done = subprocess.run(
        ["docker", "exec", HOST, "sh", "-c", command], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() if done.returncode == 0 else ""


STORY: list[Line] = []
"""What a recording shows."""


def told(kind: str, *texts: str, at: float = 0.0) -> None:
    """Keep lines for the recording; ``at``: seconds since the epoch, now where it is 0."""
    STORY.extend(Line(at or time.time(), kind, text) for text in texts)


def say(text: str) -> None:
    """A line of the story."""
    print(f"demo-move: {text}", flush=True)


def entries() -> list[dict[str, str]]:
    """The lines of the move's journal."""
    lines = on_host("cat /var/lib/agnes-host/journal.jsonl").splitlines()
    return [json.loads(line) for line in lines if line.endswith("}")]


def journal() -> list[tuple[str, str]]:
    """(step, phase) of each line of the move's journal."""
    return [(entry["step"], entry["phase"]) for entry in entries()]


def told_steps(known: int) -> int:
    """Keep the steps that were done since ``known`` lines of the journal, with their moments; returns how many lines it has."""
    known_now = entries()
    for entry in known_now[known:]:
        if entry["phase"] in ("done", "undo"):
            moment = datetime.fromisoformat(entry["at"].replace("Z", "+00:00"))
            clock = f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03}"
            text = f"  on the host  {clock}  {entry['step']:<8} {entry['phase']}"
            told("step", text, at=moment.timestamp())
    return len(known_now)


def message(output: str, task: str) -> list[str]:
    """The lines that a task has shown, from the output of ansible-playbook."""
    section = re.search(
        rf"(?s)TASK \[[^\n]*{task}\][^\n]*\n[^\n]*?=>(.*?)\n(?=\n|PLAY|TASK|\Z)", output
    )
    # JSON, which is YAML too, or YAML, as the settings of Ansible have it.
    shown = yaml.safe_load(dedent(section[1]).strip()) if section else {}
    return [str(each) for each in (shown or {}).get("msg", [])]


def start_load() -> None:
    """Clients that write rows through Caddy and keep what was acknowledged."""
    subprocess.run(["docker", "cp", str(LOAD), f"{HOST}:/usr/local/bin/lab-load"], check=True)
    on_host(f"chmod 755 /usr/local/bin/lab-load; systemd-run --unit lab-load lab-load {ANSWERS}")
    time.sleep(3)


def kill_in_the_middle(run: subprocess.Popen[bytes]) -> None:
    """SIGKILL to the runner on the host and to the run here, right after KILL_AFTER."""
    while (KILL_AFTER, "done") not in journal():
        if run.poll() is not None:
            sys.exit("demo-move: the move ended before it could be killed; run it again")
        time.sleep(0.02)
    on_host("systemctl kill --signal=SIGKILL agnes-host-move.service")
    run.kill()
    run.wait()


def result() -> tuple[set[int], set[int], float]:
    """Rows acknowledged, rows found, and the longest time in seconds without an answer."""
    on_host("systemctl stop lab-load")
    answers = [json.loads(line) for line in on_host(f"cat {ANSWERS}").splitlines()]
    good = [entry for entry in answers if entry["row"]]
    gap = max(late["at"] - early["at"] for early, late in zip(good, good[1:]))
    curl = "curl -fsSk --resolve agnes.test:443:127.0.0.1 https://agnes.test/api/rows"
    return {entry["row"] for entry in good}, set(json.loads(on_host(curl))["ids"]), gap


COMMAND = ["ansible-playbook", "site.yml", "-e", "layout=flat"]
PLAN, SUMMARY = "Say what will be done", "Say where everything is"
LEFT_OUT = re.compile(r"^ *(\d+[.)]|why:|undo:|note|service|tls|left)")
"""What a recording does not show of a plan and of a summary."""


def main(record: str = "") -> None:
    """Entry point; the host has been provisioned in layout nested. record: file for the recording, or none."""
    start_load()
    known = len(entries())
    say("clients write; the host is nested. Now: ansible-playbook site.yml -e layout=flat")
    told("command", f"$ {' '.join(COMMAND)}")
    with tempfile.TemporaryFile("w+") as output:
        env = {**os.environ, "ANSIBLE_NOCOLOR": "1"}
        run = subprocess.Popen(COMMAND, cwd=ROOT, stdout=output, env=env)
        kill_in_the_middle(run)
        output.seek(0)
        plan = message(output.read(), PLAN)
    told("said", *(f"  {line}" for line in plan if not LEFT_OUT.match(line)), at=STORY[0].at + 1)
    killed = time.time()
    known = told_steps(known)
    told(
        "kill",
        f"  SIGKILL, as soon as step {KILL_AFTER} is seen done: to the runner on the host, and to the run here",
        at=killed,
    )
    say(
        f"KILLED with SIGKILL after step '{KILL_AFTER}': the move's runner on the host, and the run here"
    )
    told("command", "$ agnes-host explain")
    told("said", *(f"  {line}" for line in on_host("agnes-host explain").splitlines()
                   if line.startswith(("layout", "mounted", "next"))))  # fmt: skip
    say("the same command again:")
    told("command", f"$ {' '.join(COMMAND)}")
    again = subprocess.run(COMMAND, cwd=ROOT, check=True, capture_output=True, text=True, env=env)
    print(again.stdout)
    told_steps(known)
    summary = message(again.stdout, SUMMARY)
    told("said", *(f"  {line}" for line in summary if not LEFT_OUT.match(line)))
    print()
    print(on_host("agnes-host explain"))
    acknowledged, there, gap = result()
    print()
    counted = (
        f"{len(acknowledged)} rows acknowledged, {len(acknowledged & there)} of them found",
        f"the longest time without an answer was {gap:.1f} s",
    )
    for text in counted:
        say(text)
    told("good", *counted)
    if acknowledged - there:
        sys.exit(f"demo-move: LOST {len(acknowledged - there)} rows")
    if record:
        title = "a host moves from nested to flat while clients write, is killed in the middle, and is run again"
        Path(record).write_text(picture(title, STORY), "utf-8")
        say(f"recorded in {record}")
    say("look around: docker exec -it agnes-demo agnes-host explain; remove it: make demo-clean")


if __name__ == "__main__":
    main(*sys.argv[1:])
