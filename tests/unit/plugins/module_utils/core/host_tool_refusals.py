# SPDX-License-Identifier: GPL-3.0-or-later
"""Refusals of the host's own tools: what raises each, and its whole sentence."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest import mock

import pairs
from ticks import NEW, Host

from ansible_collections.agnes.host.plugins.module_utils.core.host import host_tool_errors as errors
from ansible_collections.agnes.host.plugins.module_utils.core.host.errors import Refusal
from ansible_collections.agnes.host.plugins.module_utils.core.host.host_tools import (
    check_shown,
    check_source,
    layout_of,
)
from ansible_collections.agnes.host.plugins.module_utils.core.layout.keep_env import layout_shown
from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import LAYOUTS, Layout
from ansible_collections.agnes.host.plugins.module_utils.host_tools import rotate, turn

ENV_PATH = "/opt/agnes/.env"
RECORD = {"disks": {"data": {"uuid": "u-data"}, "state": {"uuid": "u-state"}}}
FLAT = LAYOUTS["flat"]
SHOWN = {"/data": ("u-data", "/"), FLAT.state_dir: ("u-state", "/")}


def project(tmp: Path, env: str) -> Path:
    """A project directory with that ``.env``, and a state directory beside it."""
    (tmp / "agnes").mkdir()
    (tmp / "agnes" / ".env").write_text(env)
    (tmp / "state" / "certs").mkdir(parents=True)
    return tmp / "agnes"


def rotated(tmp: Path, env: str) -> None:
    """A rotation on a host whose disks are right."""
    layout = Layout("odd", {"data": str(tmp)}, str(tmp / "state"), "odd.yml")
    directory = project(tmp, env)
    with (
        mock.patch.object(rotate, "layout_here", lambda env, project_dir: layout),
        mock.patch.object(turn.ledger, "INTENT", str(tmp / "none")),
    ):
        rotate.rotate(lambda text: None, str(directory), lock=str(tmp / "lock"))


def unwritable(tmp: Path) -> None:
    """A rotation to a directory in which nothing can be made."""
    pair = pairs.make(tmp)
    (tmp / "k.pem").write_text(pair.key)
    with mock.patch.object(
        rotate.certificates, "keep_pair", side_effect=OSError(28, "No space left on device")
    ), mock.patch.object(rotate.trees, "keep"):  # fmt: skip
        rotated(tmp, f"TLS_FULLCHAIN_URL=file://{tmp}/c.pem\nTLS_PRIVKEY_URL=file://{tmp}/k.pem\n")


def tick(tmp: Path, ticks: int = 1, **differs: Any) -> None:
    """Ticks on a host where something is so; the last one counts."""
    host = Host(tmp)
    for name, value in differs.items():
        setattr(host, name, value)
    for _before in range(ticks - 1):
        with suppress(Refusal):
            host.tick()
    host.tick()


ILL: dict[str, Any] = {"published": NEW, "ill": {NEW}}
UNHEALTHY = (
    "AH049: service 'app' is unhealthy after 9 s; see 'docker compose logs app' in /opt/agnes"
)

HOST_TOOLS: list[tuple[type[Refusal], Callable[[Path], object], str]] = [
    (
        errors.SourceUnknown,
        lambda tmp: check_source("TLS_PRIVKEY_URL", "http://me:secret@x/k?token=1", ENV_PATH),
        "AH170: TLS_PRIVKEY_URL in /opt/agnes/.env is 'http://x/k', and certificates are fetched from "
        "https:// and file:// only; name such a source there, or clear TLS_FULLCHAIN_URL and place the "
        "certificate yourself",
    ),
    (
        errors.SourceFailed,
        lambda tmp: rotated(
            tmp,
            f"TLS_FULLCHAIN_URL=file://{tmp}/none.pem\nTLS_PRIVKEY_URL=file://{tmp}/agnes/.env\n",
        ),
        "AH171: TLS_FULLCHAIN_URL gives nothing that can be used (file://{tmp}/none.pem: No such file or "
        "directory); the certificate in {tmp}/state/certs stays as it is; correct the source, then "
        "'systemctl start agnes-tls-rotate'",
    ),
    (
        errors.FetchedUnusable,
        lambda tmp: rotated(tmp, f"TLS_FULLCHAIN_URL=file://{tmp}/agnes/.env\n"),
        "AH172: the certificate from file://{tmp}/agnes/.env can't be used: {tmp}/state/certs has no "
        "privkey.pem, and TLS_PRIVKEY_URL names no source for it; the one in {tmp}/state/certs stays as it "
        "is; correct the source, then 'systemctl start agnes-tls-rotate'",
    ),
    (
        errors.NotPlaced,
        unwritable,
        "AH173: the certificate from file://{tmp}/c.pem can't be written to {tmp}/state/certs (No space left "
        "on device); the one there stays as it is; correct that, then 'systemctl start agnes-tls-rotate'",
    ),
    (
        errors.HostDiskAway,
        lambda tmp: check_shown(FLAT, RECORD, {**SHOWN, FLAT.state_dir: ("", "")}),
        "AH174: this host's state disk (UUID u-state) is not mounted at /data-state (nothing is mounted "
        "there), so nothing was started or written there; see 'agnes-host explain' for how to bring it back, "
        "then run this again",
    ),
    (
        errors.NotThisLayout,
        lambda tmp: layout_of({"STATE_DIR": "/srv/state"}, RECORD, ENV_PATH),
        "AH175: STATE_DIR in /opt/agnes/.env is '/srv/state', and this host's record has disks for data, "
        "state, so nothing was started or written; find out what changed /opt/agnes/.env, then run site.yml; "
        "if the record is lost and Docker is held back, 'agnes-host rebind --data UUID --state UUID --because "
        "new-boot-disk' writes it anew",
    ),
    (
        errors.LayoutNotShown,
        lambda tmp: layout_shown(
            RECORD, {**SHOWN, FLAT.state_dir: ("", "")}, {"/data/state": "nested"}, ENV_PATH
        ),
        "AH180: the keys of the layout can't be put back into /opt/agnes/.env, because the disks of this host's "
        "record are not mounted as one layout has them (mounted: u-data at /data; marker: nested in "
        "/data/state); nothing was written or started; see 'agnes-host explain', mount what is missing, then "
        "'systemctl start agnes-host-env'",
    ),
    (
        errors.UpgradeGoneBack,
        lambda tmp: tick(tmp, **ILL),
        f"AH176: the new image does not come up ({UNHEALTHY}), so the one before it runs again: agnes:stable "
        "(111111111111 -> 222222222222); it is not tried again until another one is published, or "
        "'agnes-auto-upgrade --again' is run",
    ),
    (
        errors.UpgradeNoWayBack,
        lambda tmp: tick(tmp, **ILL, migrates={NEW}),
        f"AH177: the new image does not come up ({UNHEALTHY}), and the one before it is not started, because "
        "the new one has changed the database's schema, or that is not known: agnes:stable (111111111111 -> "
        "222222222222); see AH177 in docs/errors.md for the two ways on",
    ),
    (
        errors.ImageRejected,
        lambda tmp: tick(tmp, 2, **ILL),
        f"AH178: the published image did not come up when it was tried ({UNHEALTHY}), so the one before it "
        "stays: agnes:stable (111111111111 -> 222222222222); publish another one, or run 'agnes-auto-upgrade "
        "--again'",
    ),
    (
        errors.PullFailed,
        lambda tmp: tick(tmp, error="no route to host"),
        "AH179: the images of the stack can't be pulled (no route to host); the stack runs with those that are "
        "on the host; see that the registry is reached and that root is logged in to it, then 'systemctl start "
        "agnes-auto-upgrade'",
    ),
]  # fmt: skip
