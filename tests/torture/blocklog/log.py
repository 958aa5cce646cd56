# SPDX-License-Identifier: GPL-3.0-or-later
"""A log of writes and flushes, and the states of the disk that a power cut can leave. Pure.

What was flushed is there. Of what was written since, anything may be there or not: the
whole up to some moment, or any part of it, since a disk writes its cache in no order.
"""

from __future__ import annotations

import hashlib
import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

BLOCK = 4096
"""What a disk writes whole: a longer write may be torn between two of these."""
MAGIC = 0x6A736677736872
_SUPER = struct.Struct("<QQQI")
_ENTRY = struct.Struct("<QQQQ")
_FLUSH, _FUA, _DISCARD = 1, 2, 4


@dataclass(frozen=True)
class Write:
    """A write of one block or of a part of it, and its place in the log."""

    entry: int
    offset: int
    data: bytes


@dataclass
class Window:
    """The writes between two flushes. Entries of the log before ``start`` are flushed."""

    start: int
    end: int = 0
    writes: list[Write] = field(default_factory=list)


def length(log: bytes) -> int:
    """How many entries a log has, by its first sector."""
    magic, _version, entries, _sector = _SUPER.unpack_from(log)
    if magic != MAGIC:
        raise ValueError("no log of writes")
    return int(entries)


def _pieces(entry: int, offset: int, data: bytes) -> Iterator[Write]:
    while data:
        size = min(BLOCK - offset % BLOCK, len(data))
        yield Write(entry, offset, data[:size])
        offset, data = offset + size, data[size:]


def windows(path: Path) -> list[Window]:
    """The log as windows, in order; the last one is not followed by a flush."""
    log = path.read_bytes()
    entries, sector = length(log), _SUPER.unpack_from(log)[3]
    at, opened = sector, [Window(0)]
    for number in range(entries):
        first, count, flags, _size = _ENTRY.unpack_from(log, at)
        at += sector
        if flags & _FUA:
            raise ValueError(
                "a write with a flush of its own: the loop device should not pass it on"
            )
        if flags & _FLUSH:
            opened[-1].end = number
            opened.append(Window(number + 1))
            continue
        data = bytes(count * sector)
        if not flags & _DISCARD:
            data = log[at : at + count * sector]
            at += count * sector
        opened[-1].writes += _pieces(number, first * sector, data)
    opened[-1].end = entries
    return opened


class Image:
    """A disk as its blocks that are not zero, with a hash over all that can go on from a part."""

    def __init__(self, blocks: dict[int, bytes], digest: int = 0) -> None:
        self.blocks = blocks
        self.digest = digest

    @classmethod
    def read(cls, path: Path) -> Image:
        """The image in a file."""
        image = cls({})
        with path.open("rb") as file:
            number = 0
            while block := file.read(BLOCK):
                image.put(number, block)
                number += 1
        return image

    def put(self, number: int, block: bytes) -> None:
        """Replace a block."""
        old = self.blocks.pop(number, b"")
        self.digest ^= _hash(number, old)
        if block.strip(b"\0"):
            self.blocks[number] = block
            self.digest ^= _hash(number, block)

    def apply(self, write: Write) -> None:
        """Carry out a write."""
        number, start = divmod(write.offset, BLOCK)
        block = write.data
        if len(block) < BLOCK:
            old = self.blocks.get(number, bytes(BLOCK))
            block = old[:start] + block + old[start + len(block) :]
        self.put(number, block)

    def after(self, writes: list[Write]) -> Image:
        """Another image, with these writes."""
        image = Image(dict(self.blocks), self.digest)
        for write in writes:
            image.apply(write)
        return image

    def save(self, path: Path, size: int) -> None:
        """Write it to a file, with holes."""
        with path.open("wb") as file:
            file.truncate(size)
            for number in sorted(self.blocks):
                file.seek(number * BLOCK)
                file.write(self.blocks[number])


def _hash(number: int, block: bytes) -> int:
    if not block:
        return 0
    digest = hashlib.blake2b(block, digest_size=16, key=number.to_bytes(8, "big")).digest()
    return int.from_bytes(digest, "big")


@dataclass(frozen=True)
class State:
    """A state of the disk: all windows before ``window``, and of it the writes in ``chosen``."""

    window: int
    chosen: tuple[int, ...]
    how: str
    at: int
    """The moment of the cut, as a number of entries: what else was true then hangs on it."""

    def __str__(self) -> str:
        return f"{self.how} in window {self.window}, {len(self.chosen)} writes, entry {self.at}"


def _sample(window: Window, number: int, rng: random.Random) -> State:
    """Anything that a cut between this flush and the next one can leave."""
    count = len(window.writes)
    how = rng.choice(("prefix", "subset", "subset", "torn"))
    cut = rng.randint(0, count)
    if how == "prefix":
        chosen = tuple(range(cut))
    elif how == "torn":
        # In order up to a moment, and of the last few something.
        chosen = tuple(i for i in range(cut) if i < cut - 4 or rng.random() < 0.5)
    else:
        share = rng.random()
        chosen = tuple(i for i in range(count) if rng.random() < share)
    issued = window.writes[chosen[-1]].entry + 1 if chosen else window.start
    return State(number, chosen, how, rng.randint(issued, window.end))


def states(
    base: Image, log: list[Window], begin: int, wanted: int, rng: random.Random
) -> Iterator[State]:
    """Distinct states from entry ``begin`` on: each flush, then samples, until ``wanted`` are found.

    ``begin`` must follow a flush. All windows have their turn before one has the next. Fewer come where there are fewer.
    """
    images, image = {}, base
    for number, window in enumerate(log):
        if window.start >= begin:
            images[number] = image
        image = image.after(window.writes)
    seen: set[int] = set()

    def fresh(state: State) -> bool:
        writes = [log[state.window].writes[i] for i in state.chosen]
        digest = images[state.window].after(writes).digest
        known = digest in seen
        seen.add(digest)
        return not known

    for number in images:
        window = log[number]
        state = State(number, (), "flush", rng.randint(window.start, window.end))
        if fresh(state):
            yield state
    misses = 0
    while len(seen) < wanted and misses < 20:
        misses += 1
        for number in images:
            state = _sample(log[number], number, rng)
            if log[number].writes and len(seen) < wanted and fresh(state):
                misses = 0
                yield state
