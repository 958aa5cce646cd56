# SPDX-License-Identifier: GPL-3.0-or-later
"""``agnes-tls-rotate``: fetch the certificate, judge it, place it, and see that Caddy serves it.

Nothing is replaced before the new pair has passed every check.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from ..core.compose.certificates import CHAIN_FILE, KEY_FILE, sites_of
from ..core.compose.project import PRODUCT_NAME
from ..core.host.host_tool_errors import FetchedUnusable, NotPlaced, SourceFailed
from ..core.host.host_tools import CHAIN_URL, KEY_URL, PROJECT_DIR, check_source, without_secrets
from ..core.layout.layouts import CERTIFICATES, Layout
from ..core.layout.tree import Entry, wanted_tree
from ..system.compose import caddy, certificates, engine
from ..system.host import durable
from ..system.host.actions import Actions
from ..system.layout import dotenv_file, trees
from . import fetch
from .turn import UPGRADE_LOCK, environment, layout_here, turn

REQUEST_FILE, SUBJECT = "cert.csr", "TLS_CSR_SUBJECT"
"""A request for a certificate, and the key of ``.env`` that asks for one; the product's names, too."""

WAIT_SECONDS = 300.0
"""For an upgrade that is at work: a rotation comes once a day, and shall not be left out for it."""


def _fetched(key: str, source: str, folder: str, env_path: str) -> str:
    check_source(key, source, env_path)
    try:
        return fetch.text(source)
    except fetch.NotFetched as error:
        raise SourceFailed(
            key=key, source=without_secrets(source), found=error, path=folder
        ) from error


def _names(env: dict[str, str]) -> list[str]:
    """The names of the sites."""
    return [*sites_of(env.get("DOMAIN", "")), *sites_of(env.get("DOMAIN_ALIAS", ""))]


def _keep_request(folder: str, key: str, request: str) -> None:
    """Place a key that was made here, and what is to be signed; raises NotPlaced."""
    files = ((KEY_FILE, key, 0o600), (REQUEST_FILE, request, 0o644))
    try:
        trees.keep(Entry(folder, "directory", mode=0o700), Actions(check=False))
        with trees.opened(folder) as directory:
            for name, text, mode in files:
                durable.write_at(directory, name, text.encode(), mode)
    except OSError as error:
        reason = error.strerror or str(error)
        raise NotPlaced(source=SUBJECT, path=folder, found=reason) from error


def _private_key(
    say: Callable[[str], None], env: dict[str, str], layout: Layout, folder: str, env_path: str
) -> str:
    """The key of the new certificate: from its own source, else the one that is placed.

    On a host that has none yet, TLS_CSR_SUBJECT asks for one that never leaves the host.
    """
    if env.get(KEY_URL):
        return _fetched(KEY_URL, env[KEY_URL], folder, env_path)
    reason = f"{folder} has no {KEY_FILE}, and {KEY_URL} names no source for it"
    try:
        key = certificates.placed_text(layout.state_dir, KEY_FILE)
        if key.strip():
            return key
        # A key that is empty was never one: writing it was cut off.
        raise FileNotFoundError
    except FileNotFoundError:
        if env.get(SUBJECT):
            key, request = certificates.make_request(env[SUBJECT], _names(env))
            _keep_request(folder, key, request)
            say(
                f"made a key, and {folder}/{REQUEST_FILE}: have it signed, and published at {CHAIN_URL}"
            )
            return key
    except OSError as error:
        reason = f"the key in {folder} can't be read ({error.strerror or error})"
    source = without_secrets(env[CHAIN_URL])
    raise FetchedUnusable(source=source, found=reason, path=folder)


def _place(layout: Layout, certificate: str, key: str, source: str, actions: Actions) -> None:
    folder = os.path.join(layout.state_dir, CERTIFICATES)
    entries = {
        entry.path: entry
        for entry in wanted_tree(layout, certificate, key)
        if entry.path == folder or os.path.dirname(entry.path) == folder
    }
    try:
        trees.keep(entries[folder], actions)
        pair = [entries[os.path.join(folder, name)] for name in (KEY_FILE, CHAIN_FILE)]
        certificates.keep_pair(pair[0], pair[1], actions)
    except OSError as error:
        reason = error.strerror or str(error)
        raise NotPlaced(source=source, path=folder, found=reason) from error


def _serve(layout: Layout, env: dict[str, str], project_dir: str, actions: Actions) -> str:
    """Make Caddy serve what is placed; what it serves, for people. Raises NotHealthy."""
    docker = engine.client()
    container = caddy.find(engine.containers(docker, PRODUCT_NAME), layout)
    if container is None:
        return "Caddy does not run; it serves this certificate from its next start"
    served = caddy.keep_served(docker, container, layout, env, project_dir, "", (), actions)
    return f"Caddy serves {served}"


def rotate(
    say: Callable[[str], None],
    project_dir: str = PROJECT_DIR,
    seconds: float = WAIT_SECONDS,
    lock: str = UPGRADE_LOCK,
) -> None:
    """One rotation. Raises NotNow, a Refusal, Failed or OSError; then the old pair is there as it was."""
    env_path = dotenv_file.path_in(project_dir)
    with turn(seconds, lock):
        env = environment(project_dir)
        source = env.get(CHAIN_URL, "")
        if not source:
            say(f"{CHAIN_URL} is empty in {env_path}: there is nothing to fetch")
            return
        layout = layout_here(env, project_dir)
        folder = os.path.join(layout.state_dir, CERTIFICATES)
        key = _private_key(say, env, layout, folder, env_path)
        certificate = _fetched(CHAIN_URL, source, folder, env_path)
        shown = without_secrets(source)
        trouble = certificates.pair_trouble(certificate, key, ("it", "the key"))
        trouble = trouble or certificates.name_trouble(certificate, _names(env))
        if trouble:
            raise FetchedUnusable(source=shown, found=trouble, path=folder)
        actions = Actions(check=False)
        _place(layout, certificate, key, shown, actions)
        placed = [item["what"] for item in actions.items if item["what"] != folder]
        say(
            f"placed {', '.join(placed)} from {shown}"
            if placed
            else f"{folder} has the certificate of {shown} already"
        )
        say(_serve(layout, env, project_dir, actions))
