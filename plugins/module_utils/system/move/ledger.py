# SPDX-License-Identifier: GPL-3.0-or-later
"""What a move leaves on disk about itself: the intent, the journal, the lock, the result.

The journal is for people and a hint only; decisions are made from facts.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Optional

from ...core.host.errors import NewerFormat, Unreadable
from ...core.move.intent import INTENT_PATH, MoveIntent
from ...core.move.move_errors import IntentUnreadable, MoveUnderWay
from ..host import durable

FOLDER = "/var/lib/agnes-host"
INTENT = INTENT_PATH
JOURNAL = f"{FOLDER}/journal.jsonl"
RESULT = f"{FOLDER}/result.json"
REQUEST = "/run/agnes-host/move.json"
"""What a run asks for. In memory: a request that was not begun must not start after a reboot."""
LOCK = "/run/agnes-host/lock"

PURGE = "a purge"
"""How the lock names one that deletes what was set aside; a move waits for its end."""

FORMAT = 1
_POLL_SECONDS = 0.2
_GRACE_SECONDS = 1.0


def read(path: str) -> Optional[dict[str, Any]]:
    """One of the files above, or None. Raises a Refusal for one that can't be read."""
    text = durable.read_text(path)
    if text is None:
        return None
    try:
        value = json.loads(text)
    except ValueError as error:
        raise Unreadable(path=path, found=str(error)) from error
    if not isinstance(value, dict):
        raise Unreadable(path=path, found="it is no object")
    if value.get("format") != FORMAT:
        raise NewerFormat(path=path, found=value.get("format"), known=FORMAT)
    return value


def read_intent(path: str) -> Optional[MoveIntent]:
    """The intent, or the request for one, or None. Raises a Refusal for one that can't be read whole."""
    value = read(path)
    if value is None:
        return None
    del value["format"]
    try:
        return MoveIntent.from_dict(value)
    except ValueError as error:
        raise IntentUnreadable(path=path, found=error) from error


def write(path: str, value: dict[str, Any]) -> None:
    """Write one of them durably; root's only."""
    durable.make_directory(os.path.dirname(path), 0o700)
    text = json.dumps({"format": FORMAT, **value}, indent=2, sort_keys=True)
    durable.write(path, text + "\n", 0o600)


def remove(path: str) -> None:
    """Take one of them away, durably."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
    durable.fsync_directory(os.path.dirname(path))


def note(move_id: str, step: str, phase: str, text: str = "", flush: bool = True) -> None:
    """Append a line to the journal, and flush it; else the next one does."""
    created = not os.path.lexists(JOURNAL)
    durable.make_directory(FOLDER, 0o700)
    line = {"at": _moment(), "move": move_id, "step": step, "phase": phase}
    if text:
        line["text"] = text
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
    fd = os.open(JOURNAL, flags, 0o600)
    try:
        # A line that a crash has torn is ended first, or the new one would be torn with it.
        if os.fstat(fd).st_size and not _ends_with_newline():
            os.write(fd, b"\n")
        os.write(fd, (json.dumps(line, sort_keys=True) + "\n").encode())
        if flush:
            os.fsync(fd)
    finally:
        os.close(fd)
    if created:
        durable.fsync_directory(FOLDER)


def _ends_with_newline() -> bool:
    with open(JOURNAL, "rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def tail(count: int) -> list[dict[str, Any]]:
    """The journal's last lines; torn ones are left out."""
    entries = []
    for line in (durable.read_text(JOURNAL) or "").splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict):
            entries.append(value)
    return entries[-count:]


def clock() -> float:
    """Seconds that only go forward."""
    return time.monotonic()


def now() -> str:
    """This moment, UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _moment() -> str:
    """The same to the millisecond: the journal tells what a downtime was spent on."""
    seconds, thousandths = divmod(time.time_ns() // 1_000_000, 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{thousandths:03}Z"


@contextmanager
def locked(who: str, path: str = LOCK, waits_for: str = "") -> Iterator[None]:
    """Hold the host's lock; raises MoveUnderWay and names the holder when another process has it.

    waits_for: how the names of those begin that are waited for; they end by themselves.
    """
    durable.make_directory(os.path.dirname(path), 0o700)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        end = time.monotonic() + _GRACE_SECONDS if waits_for else 0.0
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                holder = os.pread(fd, 4096, 0).decode("utf-8", "replace").strip()
                waited_for = waits_for and holder.startswith(waits_for)
                # One that has only just got it has not written its name yet.
                if not waited_for and time.monotonic() >= end:
                    raise MoveUnderWay(found=holder or "its holder has left no name") from error
            time.sleep(_POLL_SECONDS)
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{who}, process {os.getpid()}, since {now()}\n".encode(), 0)
        yield
    finally:
        os.close(fd)
