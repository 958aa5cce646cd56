# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the product's secrets in STATE_DIR: by descriptor, no link followed, never shown."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping

from ...core.compose.state_secrets import GENERATED, IN_STATE, LIMIT, Secret, secret_of
from ...core.host.facts import Secrets
from ...core.layout.layouts import state_dirs
from .trees import opened


def _secret(key: str, path: str, directory: int) -> Secret:
    try:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
        fd = os.open(os.path.basename(path), flags, dir_fd=directory)
    except FileNotFoundError:
        return Secret(path, "absent")
    except OSError as error:
        return Secret(path, "unknown", f"it can't be opened: {error.strerror}")
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return Secret(path, "unknown", "it is no regular file")
        # A regular file gives all that it has at once.
        return secret_of(key, path, os.read(fd, LIMIT + 1))
    except OSError as error:
        return Secret(path, "unknown", f"it can't be read: {error.strerror}")
    finally:
        os.close(fd)


def read(state_dir: str) -> dict[str, Secret]:
    """Key -> its secret in ``state_dir``, for each of IN_STATE; absent where there is no directory."""
    paths = {key: os.path.join(state_dir, name) for key, name in IN_STATE.items()}
    try:
        with opened(state_dir) as directory:
            return {key: _secret(key, path, directory) for key, path in paths.items()}
    except FileNotFoundError:
        return {key: Secret(path, "absent") for key, path in paths.items()}
    except OSError as error:
        why = f"its directory can't be opened: {error.strerror}"
        return {key: Secret(path, "unknown", why) for key, path in paths.items()}


def observe(current: Mapping[str, str]) -> Secrets:
    """Which secrets ``.env`` and each STATE_DIR have; one that is a link is that of another layout.

    current: the keys of ``.env``.
    """
    keys = dict.fromkeys([*GENERATED, *IN_STATE])
    secrets_of = {path: read(path) for path in state_dirs() if not os.path.islink(path)}
    return {
        "in_env": [key for key in keys if current.get(key)],
        "in_state": {
            path: {key: secret.seen(key, current) for key, secret in secrets.items()}
            for path, secrets in secrets_of.items()
        },
    }
