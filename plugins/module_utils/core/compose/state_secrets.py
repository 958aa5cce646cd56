# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets of ``.env``: which are taken over from STATE_DIR, which are made, and which are left."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple, Optional, TypedDict

from ..host.errors import EnvValueUnsafe
from ..layout.dotenv import check_value
from .secret_errors import SecretUnusable, VaultKeyContradicts

VAULT_KEY = "AGNES_VAULT_KEY"

IN_STATE: Mapping[str, str] = {
    "JWT_SECRET_KEY": ".jwt_secret",
    "SESSION_SECRET": ".session_secret",
    VAULT_KEY: "agnes-vault.key",
    "DISPATCHER_PG_PASSWORD": "dispatcher-pg-password",
    "KAI_AGENT_PG_PASSWORD": "kai-agent-pg-password",
}
"""Key of ``.env`` -> the file in STATE_DIR in which the product keeps the same secret.

For the first two the product takes the key and falls back to the file, but in production it
demands the key. For the others its startup script takes the file before ``.env``; the last two
are there only with services of theirs. Other secrets of STATE_DIR, such as ``.oauth_enc_key``,
are read from their files alone.
"""

_KEY_COUNTS = ("JWT_SECRET_KEY", "SESSION_SECRET")
"""Of those, the ones for which no script of the product ever puts the file's secret into ``.env``."""

GENERATED = ("JWT_SECRET_KEY", "SESSION_SECRET", "SCHEDULER_API_TOKEN")
"""Made where they are nowhere. The vault's key never is: what is stored under the lost one would
stay unreadable, and a new one would hide that."""

LIMIT = 4096
"""Bytes; a secret of the product has 44 to 64."""


class Seen(TypedDict):
    """One file of IN_STATE, without its value."""

    path: str
    found: str
    """found, absent (an empty file too: the product makes it anew) or unknown."""
    why: str
    """What makes it unknown, for a message."""
    same: Optional[bool]
    """Whether ``.env`` has the same value; None where one of the two has none that is known."""


class Secret(NamedTuple):
    """The same with its value, which leaves no module."""

    path: str
    found: str
    why: str = ""
    value: str = ""

    def seen(self, key: str, current: Mapping[str, str]) -> Seen:
        """What may be shown of it, compared with the values ``current`` of ``.env``."""
        in_env = current.get(key) or ""
        both = self.found == "found" and in_env
        same = in_env == self.value if both else None
        return {"path": self.path, "found": self.found, "why": self.why, "same": same}


def secret_of(key: str, path: str, content: bytes) -> Secret:
    """The secret that a file holds: one line, which every reader of ``.env`` takes as it stands."""
    if len(content) > LIMIT:
        return Secret(path, "unknown", f"it has more than {LIMIT} bytes")
    try:
        value = content.decode("ascii").strip()
    except UnicodeDecodeError:
        return Secret(path, "unknown", "it is no plain text")
    if not value:
        return Secret(path, "absent")
    if len(value.splitlines()) > 1:
        return Secret(path, "unknown", "it has more than one line")
    try:
        check_value(key, value)
    except EnvValueUnsafe as unsafe:
        return Secret(path, "unknown", f"it holds {unsafe.facts['found']}")
    return Secret(path, "found", value=value)


def app_runs(containers: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the product's app is up."""
    return any(each["service"] == "app" and each["status"] == "running" for each in containers)


def fill(
    seen: Mapping[str, Seen], current: Collection[str], env_path: str, app_runs: bool
) -> tuple[list[str], list[str]]:
    """The keys that ``.env`` takes over from STATE_DIR, and those that are made.

    seen: what IN_STATE's files show; current: the keys with a value in ``.env``, or that the
    inventory gives; app_runs: whether the app is up. One that runs on its files, with nothing
    to be made, is not restarted for it.
    Raises SecretUnusable for a file that is needed and can't be taken, and VaultKeyContradicts.
    """
    vault = seen.get(VAULT_KEY)
    if vault and vault["same"] is False:
        raise VaultKeyContradicts(env_path=env_path, path=vault["path"])
    wanted = [key for key in IN_STATE if key in seen and key not in current]
    taken = [key for key in wanted if seen[key]["found"] != "absent"]
    made = [key for key in GENERATED if key not in current and key not in taken]
    if app_runs and not made:
        return [], []
    for key in taken:
        if seen[key]["found"] == "unknown":
            raise SecretUnusable(path=seen[key]["path"], key=key, found=seen[key]["why"])
    return taken, made


def contradictions(seen: Mapping[str, Seen]) -> list[str]:
    """Notes of files whose secret ``.env`` has with another value: containers get that one."""
    return [
        f"{each['path']} has another secret than {key} in .env, which is the one that counts"
        + ("" if key in _KEY_COUNTS else " until a boot script of the product rewrites .env")
        for key, each in seen.items()
        if key != VAULT_KEY and each["same"] is False
    ]


def say(taken: Sequence[str], made: Sequence[str], used: bool, unseen: bool) -> list[str]:
    """The plan's sentences: names of keys, never values.

    used: whether state has a database already; unseen: whether the disk with state is not
    mounted yet, so that nobody has looked.
    """
    if unseen and made:
        return [
            f"secrets that .env lacks: taken from state where it has them, else generated ({', '.join(made)})"
        ]
    sentences = []
    if taken:
        sentences.append(f"take {', '.join(taken)} into .env from the files in STATE_DIR")
    if made:
        why = "the ones that this state was used with are lost" if used else "this host has none"
        sentences.append(f"make {', '.join(made)} ({why})")
    return sentences
