# SPDX-License-Identifier: GPL-3.0-or-later
"""Copying state with rsync: rounds while the stack runs, one last pass, and the proof of the copy.

Source and target are given to rsync as open directories: uid 999 may own what is
above them, and a name that becomes a link in between leads nowhere. rsync does not
flush; one syncfs after the last pass does, and its error spoils the copy for good.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Optional

from ...core.copy import copying as core
from ...core.copy.copy_errors import (
    CopyBusy,
    CopyDiffers,
    CopyFailed,
    RsyncUnusable,
    SourceUnproved,
    SyncFailed,
    TreeCrosses,
)
from ...core.copy.copying import Progress, Proof, Room, Stats
from ...core.copy.manifest import RULES, SETTLED_NS, Rules, Totals
from ...core.copy.precopy import Decision, Round, decide
from ..disks import mountinfo
from ..disks.devices import maj_min_of
from ..host.commands import Failed, environment, last_line, run
from ..layout import markers, trees
from . import manifest_file
from .manifest import new_key
from .memory import Memory

SOURCE_MANIFEST, TARGET_MANIFEST = "source.manifest", "target.manifest"

_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1
_SAY_SECONDS = 1.0
STALL_SECONDS = 60.0
"""How long rsync may do nothing at all: neither read, nor write, nor compute."""


def check_rsync(program: str = "rsync") -> None:
    """Raise RsyncUnusable unless there is an rsync that copies all that state can have."""
    try:
        done = run([program, "--version"])
    except Failed as error:
        raise RsyncUnusable(found=str(error))
    lacking = core.lacking(done.out)
    if lacking:
        raise RsyncUnusable(found=f"it was built without {', '.join(lacking)}")


def mounts_below(path: str) -> list[str]:
    """Mount points strictly below ``path``, of directories and of single files."""
    above = path.rstrip("/") + "/"
    return sorted({line.target for line in mountinfo.read() if line.target.startswith(above)})


@contextmanager
def proved_source(path: str, proof: Proof, rules: Rules = RULES) -> Iterator[int]:
    """A descriptor of the directory at ``path``, proved to be the state that shall be copied.

    Raises SourceUnproved for another device, an unmounted or empty directory, a link or
    another marker, TreeCrosses for mounts inside it.
    """
    try:
        fd = trees.open_directory(path)
    except (NotADirectoryError, FileNotFoundError):
        reason = "no directory, or a link on the way"
        raise SourceUnproved(path=path, found=reason, wanted="state")
    try:
        info, above = os.fstat(fd), os.stat("..", dir_fd=fd)
        names = [n for n in os.listdir(fd) if not rules.leaves_out(os.fsencode(n))]
        is_mount = info.st_dev != above.st_dev
        marker = markers.read_if_any(fd)
        lacks = core.unproved(proof, maj_min_of(info.st_dev), is_mount, names, marker)
        if lacks:
            raise SourceUnproved(path=path, found=lacks[0], wanted=lacks[1])
        inside = mounts_below(path)
        if inside:
            raise TreeCrosses(path=inside[0], root=path)
        yield fd
    finally:
        os.close(fd)


def _die_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def work_of(pid: int) -> list[str]:
    """What a process and those that it has started have done so far: it differs while they work."""
    work = []
    for path in (f"/proc/{pid}/io", f"/proc/{pid}/stat", f"/proc/{pid}/task/{pid}/children"):
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                work.append(file.read())
        except OSError:
            return work
    for child in work[-1].split():
        work += work_of(int(child))
    return work


def _silent(_progress: Progress) -> None:
    """For callers that don't want to know."""


@dataclass
class ReadAhead:
    """What was read of state and its copy before the stop; of nothing but this process's making."""

    key: bytes = field(default_factory=new_key)
    source: Memory = field(default_factory=Memory)
    target: Memory = field(default_factory=Memory)


@dataclass
class Copy:
    """A copy in the making; see ``opened_copy``."""

    source: int
    target: int
    source_path: str
    target_path: str
    rules: Rules = RULES
    program: str = "rsync"
    say: Callable[[Progress], None] = _silent
    """Told at most once a second how far a pass is."""
    options: Sequence[str] = core.OPTIONS
    entries: int = 0
    """In the source, as found by the last pass: how much a pass may delete depends on it."""
    rounds: list[Round] = field(default_factory=list)

    def check_room(self) -> Totals:
        """What there is to copy. Raises NoRoom unless it fits, or says why no copy would be whole."""
        totals = manifest_file.measure(self.source, self.rules)
        there = manifest_file.measure(self.target, self.rules)
        core.check_flags(self.source_path, totals)
        core.check_names(self.source_path, totals)
        has = os.statvfs(self.target)
        room = Room(has.f_bavail * has.f_frsize, has.f_favail, has.f_files)
        core.check_room((self.source_path, self.target_path), totals, room, there)
        self.entries = totals.entries
        return totals

    def _failed(self, status: object, reason: str) -> CopyFailed:
        return CopyFailed(
            source=self.source_path, target=self.target_path, status=status, found=reason
        )

    def _follow(self, process: subprocess.Popen[bytes]) -> str:
        """Pass progress on; returns everything else that rsync prints."""
        if process.stdout is None:
            raise AssertionError("rsync was started with a pipe")
        rest, kept, said = b"", [], 0.0
        while True:
            self._await(process)
            block = os.read(process.stdout.fileno(), 65536)
            *lines, rest = re.split(rb"[\r\n]", rest + block)
            for line in lines if block else [*lines, rest]:
                text = line.decode("utf-8", "replace")
                progress = core.parse_progress(text)
                if progress is None:
                    kept.append(text)
                elif time.monotonic() - said >= _SAY_SECONDS:
                    said = time.monotonic()
                    self.say(progress)
            if not block:
                return "\n".join(kept)

    def _await(self, process: subprocess.Popen[bytes]) -> None:
        """Until there is something to read. Raises CopyFailed when rsync has come to a stop.

        It opens a file by the name that it found, and waits for ever if that has become a
        FIFO by then; its own timeout does not end that.
        """
        if process.stdout is None:
            raise AssertionError("rsync was started with a pipe")
        before, since = work_of(process.pid), time.monotonic()
        while not select.select([process.stdout.fileno()], [], [], 1.0)[0]:
            now = work_of(process.pid)
            if now != before:
                before, since = now, time.monotonic()
            elif time.monotonic() - since > STALL_SECONDS:
                os.killpg(process.pid, signal.SIGKILL)
                # Its end comes when the last of them is gone: until then they hold the target.
                process.stdout.read()
                reason = "nothing was read or written any more: a FIFO in a file's place, or a disk"
                raise self._failed(f"nothing for {STALL_SECONDS:.0f} s", reason)

    def _rsync(self, more: Sequence[str], filters: Sequence[str] = (), live: bool = False) -> str:
        """One pass; returns what it printed beside progress. Raises CopyFailed."""
        allowed = core.max_delete(self.entries)
        argv = [self.program, *core.arguments(self.rules, allowed, more, filters, self.options)]
        argv += ["./", f"/proc/self/fd/{self.target}/"]
        errors = os.memfd_create("rsync")
        try:
            # Runs without a module, and reads progress as it comes.
            process = subprocess.Popen(  # pylint: disable=ansible-bad-function
                argv, cwd=f"/proc/self/fd/{self.source}", stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=errors, pass_fds=(self.source, self.target),
                env=environment(), preexec_fn=_die_with_parent, start_new_session=True,
            )  # fmt: skip
            with process:
                out = self._follow(process)
            text = os.pread(errors, 1 << 20, 0).decode("utf-8", "replace")
            if process.returncode and not (live and core.is_live(process.returncode, text)):
                raise self._failed(process.returncode, _cause(text))
        except FileNotFoundError:
            raise RsyncUnusable(found=f"'{self.program}' is not installed")
        finally:
            os.close(errors)
        return out

    def _pass(self, more: Sequence[str], filters: Sequence[str] = (), live: bool = False) -> Stats:
        stats = core.parse_stats(self._rsync([*more, "--stats"], filters, live))
        if not filters:
            self.entries = stats.entries
        return stats

    def _doubted(self) -> Sequence[str]:
        """What is there before the first round is compared by content, not by size and time.

        A power cut leaves files that have both, and zeros in place of what was not flushed.
        """
        there = [n for n in os.listdir(self.target) if not self.rules.leaves_out(os.fsencode(n))]
        return ["--checksum"] if there and not self.rounds else []

    def round(self) -> Round:
        """Copy what has changed, and find out what is left by then. The stack may be running."""
        started, more = time.monotonic(), self._doubted()
        stats = self._pass(["--info=progress2", "--no-inc-recursive", *more], live=True)
        copied = time.monotonic()
        rest = self._pass(["--dry-run"], live=True)
        done = Round(copied - started, stats.copied, rest.copied, time.monotonic() - copied)
        self.rounds.append(done)
        return done

    def precopy(self, budget_seconds: float) -> Decision:
        """Rounds until another one would not help. Raises CopyFailed."""
        decision = decide(self.rounds, budget_seconds)
        while not decision.stop:
            self.round()
            decision = decide(self.rounds, budget_seconds)
        return decision

    def final(self) -> Stats:
        """The last pass, while nobody writes: what changed, and the database's files by checksum.

        They are one group, copied in one pass at one moment. Whether nothing is left to do,
        ``prove`` tells. Raises CopyFailed.
        """
        stats = self._pass(["--info=progress2", "--no-inc-recursive"])
        self._pass(["--checksum"], core.only(core.GROUP))
        return stats

    def _none_left(self, left: Sequence[str], count: Optional[int] = None) -> None:
        if left:
            raise CopyDiffers(
                source=self.source_path, target=self.target_path,
                count=len(left) if count is None else count, found="; ".join(left[:5]),
            )  # fmt: skip

    def sync(self) -> None:
        """Flush the target's filesystem. Raises SyncFailed, after which this copy must not be used."""
        if _LIBC.syncfs(self.target) < 0:
            reason = os.strerror(ctypes.get_errno())
            raise SyncFailed(source=self.source_path, target=self.target_path, found=reason)

    def read_ahead(self, known: ReadAhead) -> None:
        """Read both while the stack runs, the copy from its disk: ``prove`` reads the rest.

        What changes from here on is read again. Raises SyncFailed.
        """
        self.sync()
        # The last round's files have to lie untouched for a while: see core/copy/manifest.py.
        time.sleep(SETTLED_NS / 1e9)
        with ThreadPoolExecutor(2) as pool:
            jobs = [
                pool.submit(manifest_file.read_ahead, fd, known.key, self.rules, memory, cold)
                for fd, memory, cold in self._sides(known)
            ]
        for job in jobs:
            job.result()

    def _sides(self, known: ReadAhead) -> list[tuple[int, Memory, bool]]:
        """Source and target: the target is read from its disk."""
        return [(self.source, known.source, False), (self.target, known.target, True)]

    def prove(self, folder: str, known: ReadAhead) -> Totals:
        """Compare both trees whole; the manifests are kept in ``folder``, root's only.

        What is known and untouched since is not read again; else the target is read from its
        disk, so ``sync`` comes before. Returns the totals, whose digest is both trees'.
        Raises CopyDiffers, TreeChanged, FlaggedFiles.
        """
        files = [os.path.join(folder, name) for name in (SOURCE_MANIFEST, TARGET_MANIFEST)]
        # Side by side: they lie on two disks, and hashing leaves the interpreter to others.
        with ThreadPoolExecutor(2) as pool:
            one, other = (
                pool.submit(manifest_file.keep, fd, file, known.key, self.rules, memory, cold)
                for (fd, memory, cold), file in zip(self._sides(known), files)
            )
        totals, copied = one.result(), other.result()
        core.check_flags(self.source_path, totals)
        with open(files[0], "rb") as left, open(files[1], "rb") as right:
            count, differing = manifest_file.compare(left, right)
        self._none_left(differing, count)
        if copied.digest != totals.digest:
            self._none_left(["the digests of the two differ"])
        return totals


def _cause(text: str) -> str:
    """The line of rsync's stderr that says why; the last one only says that it failed."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    own = [line for line in lines if not line.startswith("rsync error:")]
    return own[0] if own else last_line(text)


def lock(target: int, path: str) -> None:
    """Lock the directory open as ``target``, for as long as it is open. Raises CopyBusy."""
    try:
        fcntl.flock(target, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise CopyBusy(target=path, found="it holds the lock on that directory")


@contextmanager
def opened_copy(
    source_path: str, target_path: str, proof: Proof, rules: Rules = RULES,
    say: Callable[[Progress], None] = _silent,
) -> Iterator[Copy]:  # fmt: skip
    """A Copy from a proved source to an open target that nobody else copies to.

    The lock is on the open target, which rsync inherits: it is held until the last
    process that may still write there is gone, even if this one is killed.
    Raises CopyBusy, and what proved_source and check_rsync raise.
    """
    check_rsync()
    with proved_source(source_path, proof, rules) as source, trees.opened(target_path) as target:
        lock(target, target_path)
        yield Copy(source, target, source_path, target_path, rules, say=say)
