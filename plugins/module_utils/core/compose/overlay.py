# SPDX-License-Identifier: GPL-3.0-or-later
"""The layout overlay, derived from the resolved compose configuration.

Pure: a configuration as ``docker compose config --format json`` gives it for
the chain without the layout overlay, and a layout, become the mounts that each
service must have, and the overlay's text. No service is named here: one that
the product adds or drops is right by itself.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Mapping, Sequence
from typing import Any, Optional

from ..host.errors import MountOverState, OverlayUnproved, VolumeLeftOver
from ..layout.layouts import Layout, is_below, state_dirs
from .sight import Mount, over_state

DATA_VOLUME = "data"
"""The named volume of the product's base file that stands for the data disk."""

PERMIT = "/run/agnes-host-disks"
"""A directory that is there only when the guard has seen each disk in its place, and at no boot before that.
The engine starts no container that is to mount what is not there."""

HEADER = (
    "# Written by agnes.host for layout {layout}: derived from {chain}.\n"
    "# Do not edit: a run of the collection writes it again when those files change.\n"
)


def cut(config: Mapping[str, Any]) -> dict[str, Any]:
    """A resolved configuration cut to what decisions need; the rest may hold secrets.

    Compose prints the values of env files: of an environment only the two keys that say
    where data and state are stay, of a volume's options only those without a value.
    """
    services = {
        name: _cut_service(service or {})
        for name, service in (config.get("services") or {}).items()
    }
    volumes = {
        key: {
            "name": (volume or {}).get("name", key),
            "driver_opts": _cut_options((volume or {}).get("driver_opts") or {}),
        }
        for key, volume in (config.get("volumes") or {}).items()
    }
    return {"services": services, "volumes": volumes}


def _cut_service(service: Mapping[str, Any]) -> dict[str, Any]:
    environment = service.get("environment") or {}
    needs = service.get("depends_on") or {}
    return {
        "profiles": list(service.get("profiles") or []),
        "restart": _restart_of(service),
        "scale": _scale_of(service),
        "image": str(service.get("image") or ""),
        "container_name": str(service.get("container_name") or ""),
        "depends_on": {
            name: str((need or {}).get("condition") or "") for name, need in needs.items()
        },
        "paths": {
            key: str(environment[key])
            for key in ("DATA_DIR", "STATE_DIR")
            if environment.get(key) not in (None, "")
        },
        "volumes": [dict(mount) for mount in service.get("volumes") or []],
        "tmpfs": [str(each).partition(":")[0] for each in service.get("tmpfs") or []],
        "volumes_from": [str(each) for each in service.get("volumes_from") or []],
        # Only where it is there: the hash of what was proved stays the same for all others.
        **(
            {"start_interval": True}
            if (service.get("healthcheck") or {}).get("start_interval")
            else {}
        ),
    }


def _restart_of(service: Mapping[str, Any]) -> str:
    """The engine's restart policy: no, on-failure, always or unless-stopped.

    As Compose makes it: deploy.restart_policy counts before ``restart``, and its condition
    ``any`` is ``always`` (docker/compose, pkg/compose/create.go, getRestartPolicy).
    """
    policy = (service.get("deploy") or {}).get("restart_policy")
    if policy is not None:
        condition = str(policy.get("condition") or "no")
        return {"none": "no", "any": "always"}.get(condition, condition)
    return str(service.get("restart") or "no").partition(":")[0]


def _scale_of(service: Mapping[str, Any]) -> int:
    """How many containers a service has: ``scale``, else deploy.replicas, else one."""
    for number in (service.get("scale"), (service.get("deploy") or {}).get("replicas")):
        if number is not None:
            return int(number)
    return 1


def _cut_options(options: Mapping[str, Any]) -> dict[str, str]:
    """Options of a volume's driver: type, device, and of ``o`` the words that have no value."""
    kept = {key: str(options[key]) for key in ("type", "device") if key in options}
    if "o" in options:
        words = str(options["o"]).split(",")
        kept["o"] = ",".join(word for word in words if "=" not in word)
    return kept


def _bind(source: str, target: str, like: Mapping[str, Any]) -> Mount:
    """A bind with the mode and the options of the mount that it takes the place of."""
    mount: Mount = {"type": "bind", "source": source, "target": target}
    if like.get("read_only"):
        mount["read_only"] = True
    # Never let the engine create a missing directory: it would be on the wrong disk.
    mount["bind"] = {**(like.get("bind") or {}), "create_host_path": False}
    return mount


def _moved(path: str, layout: Layout) -> Optional[str]:
    """``path`` under this layout's STATE_DIR if it is under that of any layout."""
    for state_dir in state_dirs():
        if is_below(path, state_dir):
            rest = posixpath.relpath(path, state_dir)
            return posixpath.normpath(posixpath.join(layout.state_dir, rest))
    return None


def _on_data_disk(mount: Mapping[str, Any], data: str) -> Optional[str]:
    """The path on the data disk that a mount of the whole disk or of the data volume means."""
    source = mount.get("source", "")
    if mount["type"] == "volume" and source == DATA_VOLUME:
        subpath = (mount.get("volume") or {}).get("subpath") or ""
        return posixpath.normpath(posixpath.join(data, subpath))
    if mount["type"] == "bind" and posixpath.normpath(source) == data:
        return data
    return None


def mounts_of(volumes: Sequence[Mount], layout: Layout) -> list[Mount]:
    """The mounts that a service with ``volumes`` must have in ``layout``.

    - a use of the named data volume becomes a bind of the data mount;
    - a service that has the whole data disk gets the state mount too, unless it has one
      already, or the state mount lies below the data mount and so comes with it: at the
      layout's own path in the mode of its data, at another path only where it may write;
    - a host path under a state directory moves to this layout's;
    - every other mount is restated as it is.
    """
    data, state = layout.mounts["data"], layout.mounts["state"]
    result: list[Mount] = []
    whole: list[tuple[bool, int, Mount]] = []
    for mount in volumes:
        on_data = _on_data_disk(mount, data)
        moved = _moved(mount.get("source", ""), layout) if mount["type"] == "bind" else None
        if on_data is not None:
            result.append(_bind(_moved(on_data, layout) or on_data, mount["target"], mount))
            elsewhere = posixpath.normpath(mount["target"]) != data
            if on_data == data and not (elsewhere and mount.get("read_only")):
                whole.append((elsewhere, len(result), mount))
        elif moved is not None:
            result.append(_bind(moved, _moved(mount["target"], layout) or mount["target"], mount))
        else:
            result.append(dict(mount))
    has_state = any(posixpath.normpath(mount["target"]) == layout.state_dir for mount in result)
    if whole and not has_state and not is_below(state, data):
        _elsewhere, position, like = min(whole, key=lambda each: each[:2])
        mode = {"read_only": True} if like.get("read_only") else {}
        result.insert(position, _bind(state, layout.state_dir, mode))
    return list({mount["target"]: mount for mount in result}.values())


def _with_permit(mounts: Sequence[Mount]) -> list[Mount]:
    rest = [mount for mount in mounts if mount["target"] != PERMIT]
    return [*rest, _bind(PERMIT, PERMIT, {"read_only": True})]


def wanted_mounts(
    config: Mapping[str, Any], layout: Layout, held: bool = False
) -> dict[str, list[Mount]]:
    """Service -> its mounts in ``layout``, for each service of a cut configuration.

    held: whether each needs the permit of the guard, too. Raises MountOverState for a service in which something else would lie over the state.
    """
    wanted = {
        name: mounts_of(service["volumes"], layout) for name, service in config["services"].items()
    }
    if held:
        wanted = {name: _with_permit(mounts) for name, mounts in wanted.items()}
    services = {
        name: {**service, "volumes": wanted[name]} for name, service in config["services"].items()
    }
    for name in services:
        over = over_state(services, name, layout)
        if over:
            raise MountOverState(service=name, found=say([over[1]]), path=over[0])
    return wanted


def _text(value: object) -> str:
    """``value`` as JSON that is YAML too: characters outside ASCII as YAML escapes them.

    A ``$`` needs nothing: Compose prints it doubled already, as a file has to have it.
    """
    return "".join(
        char
        if " " <= char <= "~"
        else f"\\u{ord(char):04x}"
        if char <= "\uffff"
        else f"\\U{ord(char):08x}"
        for char in json.dumps(value, ensure_ascii=False)
    )


def render(
    config: Mapping[str, Any],
    layout: Layout,
    chain: Sequence[str] = (),
    before: Optional[Mapping[str, Any]] = None,
    held: bool = False,
) -> str:
    """The overlay's text: each service whose mounts differ from those of the files before it.

    before: the configuration of these, where it is another than ``config``; held: see wanted_mounts.

    Each mount is written as JSON, which YAML takes as it is, so the host needs
    no YAML library.
    """
    lines = [
        HEADER.format(layout=layout.name, chain=", ".join(chain) or "its chain"),
        "services:\n",
    ]
    wanted = wanted_mounts(config, layout, held)
    given = (before or config)["services"]
    changed = [
        name
        for name in sorted(wanted)
        if name not in given or not same(wanted[name], given[name]["volumes"])
    ]
    for name in changed:
        lines.append(f"  {_text(name)}:\n    volumes: !override\n")
        lines += [f"      - {_text(mount)}\n" for mount in wanted[name]]
    return "".join(lines) if changed else lines[0] + "services: {}\n"


def _key(mount: Mount) -> tuple[str, ...]:
    bind = mount.get("bind") or {}
    return (
        str(mount.get("target")),
        str(mount.get("type")),
        str(mount.get("source", "")),
        "ro" if mount.get("read_only") else "rw",
        str(bind.get("propagation", "")),
    )


def same(left: Sequence[Mount], right: Sequence[Mount]) -> bool:
    """Whether two lists mean the same mounts; order and defaults do not matter."""
    return sorted(map(_key, left)) == sorted(map(_key, right))


def say(mounts: Sequence[Mount]) -> str:
    """Mounts for a message: ``source:target:mode`` sorted."""
    return (
        ", ".join(sorted(f"{key[2]}:{key[0]}:{key[3]}" for key in map(_key, mounts))) or "nothing"
    )


def prove(
    full: Mapping[str, Any], wanted: Mapping[str, Sequence[Mount]], chain: Sequence[str]
) -> None:
    """Raise unless each service of the full chain's cut configuration has its wanted mounts."""
    for name, service in full["services"].items():
        mounts = service["volumes"]
        for mount in mounts:
            if mount["type"] == "volume" and mount.get("source") == DATA_VOLUME:
                raise VolumeLeftOver(service=name, volume=DATA_VOLUME)
        if not same(mounts, wanted.get(name, [])):
            raise OverlayUnproved(
                chain=":".join(chain),
                service=name,
                found=say(mounts),
                wanted=say(wanted.get(name, [])),
            )
