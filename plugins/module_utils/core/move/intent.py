# SPDX-License-Identifier: GPL-3.0-or-later
"""The intent of a move: one schema for the plan, the plan's file, the request and what is kept on the host.

The plan says what is to be moved (the fields without a default), a run adds how it asks for it,
and the move's runner what it finds as it begins and goes on. Whatever can't be read whole is
refused: a missing field would count as an empty one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from functools import cache
from typing import Any, Optional, Union, get_args, get_origin, get_type_hints

from ..layout.backend import DUCKDB
from ..layout.layouts import LAYOUTS

INTENT_PATH = "/var/lib/agnes-host/intent.json"
"""Where a move that has begun keeps it. While it is there, the product's timers are held back and a
boot goes on with the move."""

FORWARD, BACK = "forward", "back"


@dataclass
class Before:
    """The undo record: what was there before a step, so that going back leaves it so.

    Each is written once, before the first step that changes it (move/undo.py), and never again.
    None: no step has begun that changes it, so there is nothing to undo. ``.env`` is not in it: it has
    secrets, and only the process whose commit has failed writes it back.
    """

    point: Optional[str] = None
    """What was at the new mount point, without a mount: absent, directory or link."""
    new_line: Optional[str] = None
    """The line of /etc/fstab for the new mount point; empty when there was none."""
    old_line: Optional[str] = None
    """The line for the old one."""
    data_owner: Optional[list[int]] = None
    """User, group and mode of the data disk's directory."""


@dataclass
class MoveIntent:
    """One move: as it is planned, as it is asked for, and as it is carried out."""

    source: str
    """Name of the layout that is left."""
    target: str
    kind: str
    """See core/move/move_kinds.py."""
    uuid: str
    """Of the state disk; ``new`` where its filesystem is still to be made."""
    disk: dict[str, Any]
    """What is copied to, as the part ``disks`` of a plan has it; empty where nothing is copied."""
    copy_that_counts: str
    """Which of two copies counts (core/disks/which_copy.py); empty where there is one."""
    direction: str
    """forward, or back while a move that has not been committed is given up."""
    facts: dict[str, str]
    """The hashes that the plan depends on (core/move/plan_facts.py); none for a move that has begun."""

    request: str = ""
    """Id of the run's request; the result names it."""
    devices: dict[str, str] = field(default_factory=dict)
    """Role -> device, as they were given to the observation that the plan is made from."""
    project_dir: str = "/opt/agnes"
    profiles: list[str] = field(default_factory=list)
    canary_url: str = ""
    timeout: int = 600
    """Seconds that starting, and then becoming healthy, may each take."""
    environment: dict[str, str] = field(default_factory=dict)
    """What only commands are given: the address of a proxy may have a password."""

    id: str = ""
    """Empty for a move that has not begun."""
    began: str = ""
    fstype: str = "ext4"
    backend: str = DUCKDB
    data_uuid: str = ""
    """Of the data disk as the move began; empty where none was mounted."""
    services: list[str] = field(default_factory=list)
    """Those that ran, and are started again."""
    left_stopped: list[str] = field(default_factory=list)
    """Those that did not run, and stay so."""
    alone: bool = False
    """Whether services are started without those that they depend on, which did not run."""
    scale: dict[str, int] = field(default_factory=dict)
    """Service -> number of its containers, where it had several."""
    image: str = ""
    """Of the service that opens the database; empty where no container tells it."""
    source_instance: str = ""
    """Of the marker in state, where that is copied; empty without one."""
    epoch: int = 0
    boot_id: str = ""
    """Of the boot in which a disk that nothing tells from others was chosen."""

    before: Before = field(default_factory=Before)

    because: str = ""
    """Why the move is given up."""
    stopped_at: str = ""
    """The step at which that was."""
    chain: list[str] = field(default_factory=list)
    """COMPOSE_FILE of the target, as it was proved."""
    proved: str = ""
    """Digest of the project that was proved; empty before."""
    files: str = ""
    """Hash over the files that it was made of."""
    started: str = ""
    """The boot in which the move has started the stack again."""
    copy_inode: int = 0
    """Inode of the directory of the data disk that state is copied to."""
    data_taken: bool = False
    """Whether the data disk's directory is root's, until the start."""
    aside_begun: bool = False
    """Whether what is on the state disk is being set aside, to copy to it."""

    def planned(self) -> dict[str, Any]:
        """The fields that a plan has of it."""
        return {name: getattr(self, name) for name in PLANNED}

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)

    @classmethod
    def from_plan(cls, part: Mapping[str, Any]) -> MoveIntent:
        """The intent that the part ``move`` of a plan says. Raises ValueError for one that can't be read."""
        said = {name: part[name] for name in PLANNED if name in part}
        return cls.from_dict({**_defaults(), **said})

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> MoveIntent:
        """The intent from plain data. Raises ValueError, for people, for what can't be read."""
        _check(MoveIntent, value)
        _check(Before, value["before"])
        for name, known in (
            ("source", LAYOUTS),
            ("target", LAYOUTS),
            ("direction", (FORWARD, BACK)),
        ):
            if value[name] not in known:
                raise ValueError(f"unknown {name} '{value[name]:.60}'")
        return cls(**{**value, "before": Before(**value["before"])})


PLANNED = tuple(
    each.name
    for each in fields(MoveIntent)
    if each.default is MISSING and each.default_factory is MISSING
)
"""The fields that a plan has: those without a default."""


def _defaults() -> dict[str, Any]:
    """All other fields, each with its default."""
    made = MoveIntent(**dict.fromkeys(PLANNED))  # type: ignore[arg-type]
    return {name: value for name, value in made.to_dict().items() if name not in PLANNED}


@cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls)


def _check(cls: type, value: Mapping[str, Any]) -> None:
    """Raise ValueError unless there is each field of a class, of its type, and no other one."""
    hints = _hints(cls)
    odd = sorted(set(value) ^ set(hints))
    if odd:
        raise ValueError(f"{'no' if odd[0] in hints else 'unknown'} field '{odd[0]}'")
    for name, hint in hints.items():
        if not _is(value[name], hint):
            raise ValueError(f"field '{name}' is {value[name]!r:.60}")


def _is(value: Any, hint: Any) -> bool:
    """Whether a value, as JSON gives it, is of a type."""
    kind, of = get_origin(hint) or hint, get_args(hint)
    if kind is Any:
        return True
    if kind is Union:
        return any(_is(value, each) for each in of)
    if kind is Before:
        return isinstance(value, dict)
    if kind is list:
        return isinstance(value, list) and all(_is(each, of[0]) for each in value)
    if kind is dict:
        return isinstance(value, dict) and all(
            _is(key, of[0]) and _is(each, of[1]) for key, each in value.items()
        )
    # A bool is an int, too.
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
