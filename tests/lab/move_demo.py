# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo host moves from nested to flat under load, is killed in the middle, and is run again.

Run by ``make demo-move``, on the host of ``make demo``, which is made anew in layout nested.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

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


def say(text: str) -> None:
    """A line of the story."""
    print(f"demo-move: {text}", flush=True)


def journal() -> list[tuple[str, str]]:
    """(step, phase) of each line of the move's journal."""
    lines = on_host("cat /var/lib/agnes-host/journal.jsonl").splitlines()
    found = [json.loads(line) for line in lines if line.endswith("}")]
    return [(entry["step"], entry["phase"]) for entry in found]


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


def main() -> None:
    """Entry point; the host has been provisioned in layout nested."""
    start_load()
    say("clients write; the host is nested. Now: ansible-playbook site.yml -e layout=flat")
    move = ["ansible-playbook", "site.yml", "-e", "layout=flat"]
    run = subprocess.Popen(move, cwd=ROOT, stdout=subprocess.DEVNULL)
    kill_in_the_middle(run)
    say(
        f"KILLED with SIGKILL after step '{KILL_AFTER}': the move's runner on the host, and the run here"
    )
    say("the same command again:")
    subprocess.run(move, cwd=ROOT, check=True)
    print()
    print(on_host("agnes-host explain"))
    acknowledged, found, gap = result()
    print()
    say(f"{len(acknowledged)} rows acknowledged, {len(acknowledged & found)} of them found")
    say(f"the longest time without an answer was {gap:.1f} s")
    if acknowledged - found:
        sys.exit(f"demo-move: LOST {len(acknowledged - found)} rows")
    say("look around: docker exec -it agnes-demo agnes-host explain; remove it: make demo-clean")


if __name__ == "__main__":
    main()
