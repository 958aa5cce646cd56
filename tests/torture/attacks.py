# SPDX-License-Identifier: GPL-3.0-or-later
"""What a process of uid 999 does to the directories that it owns while root moves them.

Each attack is a real process with that uid and no other right, which goes round and round
until it is told to stop, and then puts back what it took. Its choices follow from the seed.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

UID = 999
OUTSIDE = ("/etc/canary", "/root/canary", "/data/canary")
"""Files of root's that no attack may reach; the last one is on the disk that state is on."""
ELSEWHERE = ("/etc", "/etc/canary", "/root", "/", "/proc/self/root", "nowhere")
MARKER = ".agnes-state.json"
_LIBC = ctypes.CDLL(None)
_EXCHANGE = 2
DEPTH = 300


def exchange(one: str, other: str) -> None:
    """Let two names change places, if the kernel lets us."""
    _LIBC.renameat2(-100, os.fsencode(one), -100, os.fsencode(other), _EXCHANGE)


def _put(path: str, kind: str, chance: random.Random) -> None:
    """Something of a kind at a free name."""
    if kind == "link":
        os.symlink(chance.choice(ELSEWHERE), path)
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "directory":
        os.mkdir(path)
        Path(path, "x").write_text("x")
    else:
        texts = ("{", "[" * 60_000, '{"epoch": 1e999, "role": [], "format": {}}', "[]", "\0")
        # New, or it would wait in a FIFO for a reader.
        with open(path, "x") as file:
            file.write(chance.choice(texts))


def _clear(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        for name in os.listdir(path):
            os.unlink(os.path.join(path, name))
        os.rmdir(path)
    elif os.path.lexists(path):
        os.unlink(path)


def _identity(path: str) -> tuple[int, int]:
    info = os.lstat(path)
    return info.st_dev, info.st_ino


class Replaced:
    """A name that is time and again something else, and what it was at other times."""

    def __init__(self, path: str, kinds: tuple[str, ...] = ("link", "fifo", "directory", "text")):
        self.kinds = kinds
        self.at(path)
        self.put = (0, 0)
        """What was put in its place last."""

    def at(self, path: str) -> None:
        """The name."""
        self.path, self.false = path, f"{path}.false"

    def turn(self, chance: random.Random) -> None:
        """Once round: what is there goes aside, something else comes, and back."""
        self.heal()
        if not os.path.lexists(self.path):
            return
        _clear(self.false)
        _put(self.false, chance.choice(self.kinds), chance)
        self.put = _identity(self.false)
        exchange(self.false, self.path)
        os.sched_yield()
        exchange(self.false, self.path)

    def heal(self) -> None:
        """Put back what could not be, because its disk went to another place in the middle of a turn."""
        if all(map(os.path.lexists, (self.path, self.false))) and _identity(self.path) == self.put:
            exchange(self.false, self.path)

    def stop(self) -> None:
        """As it was."""
        self.heal()
        _clear(self.false)


def _state_dirs() -> list[str]:
    return [path for path in ("/data/state", "/data-state") if os.access(path, os.W_OK)]


class InState(Replaced):
    """A name in whichever directory is state just then."""

    def __init__(self, name: str, kinds: tuple[str, ...]):
        super().__init__("", kinds)
        self.name = name

    def turn(self, chance: random.Random) -> None:
        """In each of them."""
        for path in _state_dirs():
            self.at(os.path.join(path, self.name))
            super().turn(chance)

    def stop(self) -> None:
        """In each of them."""
        for path in _state_dirs():
            self.at(os.path.join(path, self.name))
            super().stop()


class Grows:
    """A file that grows without end, as far as a disk of the test goes."""

    def turn(self, _chance: random.Random) -> None:
        """A little more; not held open, or the move would wait for that to end."""
        for path in _state_dirs():
            with open(os.path.join(path, "log"), "ab") as file:
                if file.tell() < 4 << 20:
                    file.write(b"x" * 8192)
                else:
                    file.truncate(0)

    def stop(self) -> None:
        """Gone."""
        for path in _state_dirs():
            _clear(os.path.join(path, "log"))


class Deep:
    """Directories deeper than any state has, made once, and taken away."""

    def __init__(self) -> None:
        self.made = False

    def turn(self, _chance: random.Random) -> None:
        """Once."""
        if self.made:
            return
        self.made = True
        fd = os.open("/data/state", os.O_RDONLY)
        for _level in range(DEPTH):
            os.mkdir("deep", dir_fd=fd)
            below = os.open("deep", os.O_RDONLY, dir_fd=fd)
            os.close(fd)
            fd = below
        os.close(fd)

    def stop(self) -> None:
        """From the bottom up."""
        os.chdir("/data/state")
        depth = 0
        while os.path.isdir("deep"):
            os.chdir("deep")
            depth += 1
        for _level in range(depth):
            os.chdir("..")
            os.rmdir("deep")
        os.chdir("/")


class HardLinks:
    """Names for files of root's, which the kernel refuses, beside one that was there before."""

    def turn(self, _chance: random.Random) -> None:
        """Each of them."""
        for number, path in enumerate(OUTSIDE):
            with contextlib.suppress(OSError):
                os.link(path, f"/data/state/hard-{number}")

    def stop(self) -> None:
        """Those that came about, and the old one: here uid 999 is its own operator."""
        _clear(LINKED)
        for number in range(len(OUTSIDE)):
            _clear(f"/data/state/hard-{number}")


class Elsewhere:
    """The link for readers points to /etc, from before the move on and all the time."""

    def __init__(self) -> None:
        os.symlink("/etc", "/data/other")
        exchange("/data/other", "/data/state")

    def turn(self, _chance: random.Random) -> None:
        """Nothing more."""

    def stop(self) -> None:
        """As it was."""
        if os.path.lexists("/data/other"):
            exchange("/data/other", "/data/state")
            os.unlink("/data/other")


class Afterwards:
    """What comes into the link's place when the move has ended: nothing holds uid 999 back then."""

    def turn(self, _chance: random.Random) -> None:
        """Nothing yet."""

    def stop(self) -> None:
        """Now."""
        if os.path.islink("/data/state"):
            _put("/data/other", "directory", random.Random(0))
            exchange("/data/other", "/data/state")
            os.unlink("/data/other")


LINKED = "/data/state/of-root"
"""Where a file of root's has a second name in state, from a time when nothing forbade that."""

ATTACKS: dict[str, Callable[[], object]] = {
    "state": lambda: Replaced("/data/state"),
    "aside": lambda: _Aside(),
    "marker": lambda: InState(MARKER, ("link", "fifo", "directory", "text")),
    "certs": lambda: InState("certs", ("link", "directory")),
    "file": lambda: InState("system.duckdb", ("link", "fifo")),
    "grows": Grows,
    "deep": Deep,
    "hardlinks": HardLinks,
}


class _Aside:
    """Where the move keeps what it takes out of its place."""

    path = "/data/.agnes-host-aside"

    def turn(self, chance: random.Random) -> None:
        """Something else is there before the move comes; what is root's goes to another name."""
        with contextlib.suppress(FileNotFoundError):
            os.rename(self.path, f"{self.path}.{chance.randrange(1 << 30)}")
        _put(self.path, chance.choice(("link", "fifo", "directory", "text")), chance)
        os.sched_yield()

    def stop(self) -> None:
        """All that is ours is gone, and what is root's is back."""
        _clear(self.path)
        for name in os.listdir("/data"):
            if name.startswith(".agnes-host-aside."):
                path = os.path.join("/data", name)
                if os.lstat(path).st_uid == UID:
                    _clear(path)
                else:
                    with contextlib.suppress(OSError):
                        os.rename(path, self.path)


OTHERS: dict[str, Callable[[], object]] = {"elsewhere": Elsewhere, "afterwards": Afterwards}
"""What is no part of the cases: each has a test of its own."""


def _await(step: str, log: str, stop: list[int]) -> None:
    """Until the runner says that it begins a step; at once, without one."""
    with open(log, "rb") as file:
        os.setgroups([])
        os.setgid(UID)
        os.setuid(UID)
        seen = b""
        while step.encode() not in seen and not stop:
            seen = seen[-200:] + file.read()
            time.sleep(0.001)


def _work(name: str, seed: int, told: int, step: str, log: str) -> None:
    stop: list[int] = []
    signal.signal(signal.SIGTERM, lambda *_args: stop.append(1))
    _await(step, log, stop)
    attack, chance, turns = {**ATTACKS, **OTHERS}[name](), random.Random(seed), 0
    os.write(told, b"+")
    while not stop:
        with contextlib.suppress(OSError):
            attack.turn(chance)  # type: ignore[attr-defined]
        turns += 1
        # As often as not what is there is true, or nothing would come past the first look.
        time.sleep(chance.choice((0, 0, 0.001, 0.02)))
    for _try in range(3):
        with contextlib.suppress(OSError):
            attack.stop()  # type: ignore[attr-defined]
    os.write(told, str(turns).encode())


@contextmanager
def under(name: str, seed: int, step: str, log: str) -> Iterator[list[int]]:
    """The attack goes on in the body; afterwards the list has how many turns it made.

    step: it begins when that is in the runner's log.
    """
    Path(log).touch()
    read, write = os.pipe()
    child, turns = os.fork(), []
    if child == 0:
        status = 1
        try:
            _work(name, seed, write, step, log)
            status = 0
        finally:
            sys.stdout.flush()
            os._exit(status)
    os.close(write)
    if not step:
        os.read(read, 1)
    try:
        yield turns
    finally:
        os.kill(child, signal.SIGTERM)
        with os.fdopen(read) as pipe:
            turns.append(int(pipe.read().strip("+") or 0))
        os.waitpid(child, 0)
