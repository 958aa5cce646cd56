# SPDX-License-Identifier: GPL-3.0-or-later
"""Having the tools on the host with their units, in place of the product's; and taking them away again.

What they replace is set aside and recorded before it is replaced, so a run that is cut off goes on.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from ..core.copy.retired import REPLACED
from ..core.host import guard as core_guard
from ..core.host.host_errors import CrontabsUnreadable
from ..core.host.host_tools import (
    INSTALL,
    KEPT,
    PROJECT_DIR,
    REMOVE,
    REPLACES,
    with_calls,
    without_calls,
)
from ..core.layout.layouts import mount_points
from ..system.host import durable, listing, permit, record
from ..system.host.actions import Actions
from ..system.host.commands import run
from ..system.layout import dotenv_file
from ..system.move import ledger, units

COMMAND = "/usr/local/sbin/agnes-host"
UNITS = "/etc/systemd/system"
CRON = ("/var/spool/cron/crontabs/root", "/var/spool/cron/root", "/etc/crontab", "/etc/cron.d/*")
TIMERS = ("agnes-auto-upgrade.timer", "agnes-tls-rotate.timer")

_LICENCE = "# SPDX-License-Identifier: GPL-3.0-or-later\n# Written by agnes.host.\n"
_SCRIPT = "#!/bin/sh\n" + _LICENCE + 'exec {command} {name} "$@"\n'
_SERVICE = (
    _LICENCE
    + """[Unit]
Description={what}
After=local-fs.target docker.service network-online.target
Wants=network-online.target
ConditionPathExists=/opt/agnes/.env

[Service]
Type=oneshot
ExecStart={command} {name}
SyslogIdentifier=agnes-{name}
TimeoutStartSec=2h
"""
)
_TIMER = (
    _LICENCE
    + """[Unit]
Description={what}, from time to time

[Timer]
OnCalendar={when}
RandomizedDelaySec={delay}
Persistent={persistent}

[Install]
WantedBy=timers.target
"""
)
_WHAT = {
    "auto-upgrade": ("Upgrade the stack of Agnes", "*:0/5", "60", "false"),
    "tls-rotate": ("Fetch the certificate of Agnes", "daily", "1h", "true"),
}


_ENV_SERVICE = (
    _LICENCE
    + """[Unit]
Description=Keep the keys of Agnes's layout in .env
Documentation=https://example.org/agnes/host
After=local-fs.target docker.service
# Whoever writes the file often must not end this.
StartLimitIntervalSec=0

[Service]
Type=oneshot
ExecStart={command} keep-env
SyslogIdentifier=agnes-host-env
TimeoutStartSec=1h

[Install]
WantedBy=multi-user.target
"""
)
_ENV_PATH = (
    _LICENCE
    + """[Unit]
Description=See that .env of Agnes is written

[Path]
PathChanged={env}
# What was written during a move is judged at its end, when this file goes.
PathChanged={intent}

[Install]
WantedBy=multi-user.target
"""
)
ENV_UNITS = ("agnes-host-env.service", "agnes-host-env.path")


def env_texts() -> dict[str, tuple[str, int]]:
    """The same of the units that keep ``.env``."""
    service, path = (f"{UNITS}/{name}" for name in ENV_UNITS)
    env = dotenv_file.path_in(PROJECT_DIR)
    return {
        service: (_ENV_SERVICE.format(command=COMMAND), 0o644),
        path: (_ENV_PATH.format(env=env, intent=ledger.INTENT), 0o644),
    }


_GUARD_SERVICE = (
    _LICENCE
    + """[Unit]
Description=See that the disks of Agnes are in their places before Docker starts
Documentation=https://example.org/agnes/host
After=local-fs.target {mounts}
Before={engine}
# Engine: with its socket, each call of docker would start all of this again, and wait for it.
# Stack: Docker starts without it, and this goes on waiting for the disks.
OnFailure={held}
# It says in its journal why it held Docker back, however often that is tried.
StartLimitIntervalSec=0

[Service]
Type=oneshot
ExecStart={command} guard --wait {seconds}
SyslogIdentifier=agnes-host-guard
TimeoutStartSec=15min
"""
)
_GUARD_HELD = (
    _LICENCE
    + """[Unit]
Description=Let calls of docker fail at once while Docker is held back
Documentation=https://example.org/agnes/host
StartLimitIntervalSec=0

[Service]
Type=oneshot
# Stopping the socket would stop an engine that runs.
ExecStart=/bin/sh -c 'systemctl is-active --quiet {engine} || systemctl stop docker.socket'
"""
)
_GUARD_STACK = (
    _LICENCE
    + """[Unit]
Description=Start the stack of Agnes once its disks are in their places
Documentation=https://example.org/agnes/host
# It requires no engine: that would ask the guard again, whose failure starts this, for ever.
After={engine} {mounts}
StartLimitIntervalSec=0

[Service]
Type=oneshot
ExecStart={command} guard --wait {seconds} --start
SyslogIdentifier=agnes-host-stack
TimeoutStartSec=15min
"""
)
_NOT_BEFORE = {
    core_guard.ENGINE: "Docker does not start before the disks of Agnes are in their places",
    core_guard.STACK: "Docker asks for the disks of Agnes, and starts its containers only when they are in their places",
}
_GUARD_DROP_IN = (
    _LICENCE
    + """# {what}; 'agnes_compose_guard: off' takes it away.
[Unit]
{needs}={guard}
After={guard}
# At a shutdown, the disks are unmounted after Docker has stopped.
After={mounts}

[Service]
ExecStopPost=-{command} guard --stopped
"""
)
GUARD_UNIT, GUARD_HELD_UNIT = "agnes-host-guard.service", "agnes-host-guard-held.service"


_GUARD_PATHS = (
    f"{UNITS}/{GUARD_HELD_UNIT}",
    f"{UNITS}/{core_guard.STACK_UNIT}",
    f"{UNITS}/{GUARD_UNIT}",
    core_guard.DROP_IN,
)
"""All that a guard can have; what of the engine's unit is last, since it needs the others."""


def guard_texts(guard: str = core_guard.ENGINE) -> dict[str, tuple[str, int]]:
    """The same of the units of a guard, in the order of _GUARD_PATHS."""
    if guard == core_guard.OFF:
        return {}
    engine_too = guard == core_guard.ENGINE
    mounts = " ".join(unit_of(path) for path in sorted(mount_points()))
    service = _GUARD_SERVICE.format(
        command=COMMAND,
        mounts=mounts,
        engine=core_guard.ENGINE_UNIT,
        held=GUARD_HELD_UNIT if engine_too else core_guard.STACK_UNIT,
        # Docker starts other containers meanwhile.
        seconds=core_guard.WAIT_SECONDS if engine_too else 0,
    )
    drop_in = _GUARD_DROP_IN.format(
        what=_NOT_BEFORE[guard],
        needs="Requires" if engine_too else "Wants",
        guard=GUARD_UNIT,
        mounts=mounts,
        command=COMMAND,
    )
    stack = _GUARD_STACK.format(
        engine=core_guard.ENGINE_UNIT,
        mounts=mounts,
        command=COMMAND,
        seconds=core_guard.WAIT_SECONDS,
    )
    held = _GUARD_HELD.format(engine=core_guard.ENGINE_UNIT)
    texts_of = (held if engine_too else "", "" if engine_too else stack, service, drop_in)
    return {path: (text, 0o644) for path, text in zip(_GUARD_PATHS, texts_of) if text}


def unit_of(path: str) -> str:
    """The name of a mount point's unit, as systemd.unit(5) escapes it."""
    escaped = "".join(
        "-" if c == "/" else c if c.isalnum() or c in "_." else f"\\x{ord(c):02x}"
        for c in path.strip("/")
    )
    return f"{escaped}.mount"


def texts() -> dict[str, tuple[str, int]]:
    """Path -> text and mode of all that is written; the product's scripts only where they are."""
    files = {}
    for name, (what, when, delay, persistent) in _WHAT.items():
        script = _SCRIPT.format(command=COMMAND, name=name)
        files[f"/usr/local/sbin/agnes-{name}"] = (script, 0o755)
        if durable.read_stat(REPLACES[name]) is not None:
            files[REPLACES[name]] = (script, 0o755)
        service = _SERVICE.format(what=what, command=COMMAND, name=name)
        files[f"{UNITS}/agnes-{name}.service"] = (service, 0o644)
        timer = _TIMER.format(what=what, when=when, delay=delay, persistent=persistent)
        files[f"{UNITS}/agnes-{name}.timer"] = (timer, 0o644)
    return files


def _is_enabled(unit: str) -> bool:
    return run(["systemctl", "is-enabled", "--quiet", unit], codes=()).code == 0


def _systemd() -> bool:
    return os.path.isdir("/run/systemd/system")


def _say(path: str) -> str:
    info = durable.read_stat(path)
    if info is None:
        return "absent"
    return "a link" if stat.S_ISLNK(info.st_mode) else "another one"


def _keep_aside(path: str) -> None:
    """Record what is at a path before it is replaced; the first one counts."""
    recorded = record.load()
    kept: dict[str, Any] = recorded.setdefault(KEPT, {})
    info = durable.read_stat(path)
    if path not in kept:
        if info is None:
            kept[path] = {}
        elif stat.S_ISLNK(info.st_mode):
            kept[path] = {"link": os.readlink(path)}
        else:
            where = durable.keep_aside(path, REPLACED)
            kept[path] = {"kept": where, "mode": stat.S_IMODE(info.st_mode)}
        record.save(recorded)


def _write(path: str, text: str, mode: int) -> None:
    _keep_aside(path)
    durable.make_directory(os.path.dirname(path))
    # A link is replaced and not followed.
    durable.write(path, text, mode, keep_owner=False)


def _crontabs() -> list[str]:
    """Those of the host, but no links. Raises CrontabsUnreadable."""
    try:
        paths = {path for pattern in CRON for path in listing.matching(pattern)}
    except OSError as error:
        raise CrontabsUnreadable(path=error.filename, found=error.strerror or error) from error
    return sorted(path for path in paths if not os.path.islink(path))


def _is_ours(path: str, text: str, mode: int) -> bool:
    info = durable.read_stat(path)
    regular = info is not None and stat.S_ISREG(info.st_mode)
    return (
        regular and durable.read_text(path) == text and stat.S_IMODE(os.stat(path).st_mode) == mode
    )


def _keep_crontabs(change: Callable[[str], str], before: str, after: str, actions: Actions) -> None:
    """Have each crontab as ``change`` makes it; before, after: what is told of one that differs."""
    for path in _crontabs():
        was = durable.read_text(path) or ""
        text = change(was)
        if text != was:
            actions.take(path, before, after, partial(durable.write, path, text))


def place(actions: Actions) -> None:
    """Have commands and units on the host, and no line of cron that starts the product's.

    Also what each upgrade begins with: a startup script may bring the product's back at a boot.
    """
    changed = False
    for path, (text, mode) in texts().items():
        if not _is_ours(path, text, mode):
            changed = True
            actions.take(path, _say(path), "of agnes-host", partial(_write, path, text, mode))
    _keep_crontabs(without_calls, "starts the product's tools", "does not", actions)
    if changed and not actions.check:
        units.reload()


def _install(actions: Actions) -> None:
    place(actions)
    for timer in TIMERS if _systemd() else ():
        if not _is_enabled(timer):
            enable = ["systemctl", "enable", "--quiet", "--now", timer]
            actions.take(timer, "not enabled", "enabled", partial(run, enable))


def _put_back(path: str, kept: dict[str, Any]) -> None:
    if "link" in kept:
        os.unlink(path)
        os.symlink(kept["link"], path)
        durable.fsync_directory(os.path.dirname(path))
    elif "kept" in kept:
        text = durable.read_text(kept["kept"], 64 * 1024 * 1024) or ""
        durable.write(path, text, kept["mode"], keep_owner=False)
    elif durable.read_stat(path) is not None:
        os.unlink(path)
        durable.fsync_directory(os.path.dirname(path))


def _remove(actions: Actions) -> None:
    kept = record.load().get(KEPT)
    if kept is None:
        return
    ours = texts()
    systemd = _systemd()
    for timer in TIMERS:
        if systemd and not (kept.get(f"{UNITS}/{timer}") or {}) and _is_enabled(timer):
            disable = ["systemctl", "disable", "--quiet", "--now", timer]
            actions.take(timer, "enabled", "not enabled", partial(run, disable))
    for path, before in sorted(kept.items()):
        text, mode = ours.get(path, ("", 0))
        if _is_ours(path, text, mode):
            after = "as it was" if before else "absent"
            actions.take(path, "of agnes-host", after, partial(_put_back, path, before))
    _keep_crontabs(with_calls, "does not start the product's tools", "does", actions)
    if actions.check:
        return
    if systemd:
        units.reload()
    recorded = record.load()
    recorded.pop(KEPT, None)
    record.save(recorded)


def _keep_units(
    wanted: bool, there: dict[str, tuple[str, int]], enabled: Sequence[str], actions: Actions
) -> None:
    """Have units that come and go by a setting, or not; enabled: those of them that are to be."""
    changed = False
    if not wanted and all(durable.read_stat(path) is None for path in there):
        return
    if not wanted and _systemd():
        for unit in enabled:
            if _is_enabled(unit):
                # The service may wait for this run: it is not stopped.
                now = ["--now"] if unit.endswith(".path") else []
                disable = ["systemctl", "disable", "--quiet", *now, unit]
                actions.take(unit, "enabled", "not enabled", partial(run, disable))
    # Nothing may need a unit that is not there, at no moment.
    for path, (text, mode) in there.items() if wanted else reversed(there.items()):
        if wanted and not _is_ours(path, text, mode):
            changed = True
            actions.take(path, _say(path), "of agnes-host", partial(_write_own, path, text, mode))
        elif not wanted and durable.read_stat(path) is not None:
            changed = True
            actions.take(path, "of agnes-host", "absent", partial(_put_back, path, {}))
    if not _systemd():
        return
    if changed and not actions.check:
        units.reload()
    for unit in enabled if wanted else ():
        if not _is_enabled(unit):
            now = ["--now"] if unit.endswith(".path") else []
            enable = ["systemctl", "enable", "--quiet", *now, unit]
            actions.take(unit, "not enabled", "enabled", partial(run, enable))


def _write_own(path: str, text: str, mode: int) -> None:
    durable.make_directory(os.path.dirname(path))
    durable.write(path, text, mode, keep_owner=False)


def _set_guard(wanted: str, actions: Actions) -> None:
    """Have the units of one guard, and those of no other."""
    there = guard_texts(wanted)
    others = {path: ("", 0) for path in _GUARD_PATHS if path not in there}
    if there:
        _keep_units(True, there, (), actions)
    _keep_units(False, others, (), actions)


def loosen_guard(wanted: str, actions: Actions) -> None:
    """Let a guard that holds back less take the place of the one that is there."""
    if core_guard.holds_less(wanted, permit.guard_here()):
        _set_guard(wanted, actions)


def keep(decision: str, keeps_env: bool, guard: str, actions: Actions) -> None:
    """Do what the plan has decided; see core/host/host_tools.decide and keeps_env, and core/host/guard.py."""
    _keep_units(keeps_env, env_texts(), ENV_UNITS, actions)
    if not core_guard.holds_less(guard, permit.guard_here()):
        _set_guard(guard, actions)
    if decision == INSTALL:
        _install(actions)
    elif decision == REMOVE:
        _remove(actions)
