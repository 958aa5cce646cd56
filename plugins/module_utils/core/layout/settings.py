# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys of ``.env`` that a run writes: the layout's, the user's, and secrets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..compose.chain import join
from ..host.errors import EnvKeyOwned
from ..host.host_errors import ChangedByYaml
from .layouts import LAYOUTS, Layout, resolve_data_dir


def owned_keys() -> set[str]:
    """The keys that only layouts decide."""
    keys = {"STATE_DIR", "DATA_DIR", "COMPOSE_FILE"}
    return keys.union(*(layout.env() for layout in LAYOUTS.values()))


def as_text(given: Mapping[str, object]) -> dict[str, str]:
    """The user's values as text: nothing for no value, and YAML's booleans as it spells them.

    Raises ChangedByYaml for what may have been written in another way: ``1.10`` is 1.1. A whole
    number is taken as it is; that ``010`` is 8 can't be seen any more.
    """
    return {key: _as_text(key, value) for key, value in given.items()}


def _as_text(key: str, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, (str, int)):
        # What it is, never the value: it may be a secret.
        kinds = {float: "a number with a point", list: "a list", dict: "a mapping"}
        raise ChangedByYaml(key=key, found=kinds.get(type(value), "a value that is no text"))
    return str(value)


def wanted_env(
    layout: Layout,
    chain: Sequence[str],
    current: Mapping[str, str],
    given: Mapping[str, str],
    secrets: Mapping[str, str],
) -> dict[str, str]:
    """The keys to be written, with their values.

    current: what ``.env`` has; given: the user's plain keys and secrets;
    secrets: values for keys that are missing, taken over or made. Raises EnvKeyOwned.
    """
    for key in sorted(set(given) & owned_keys()):
        raise EnvKeyOwned(key=key)
    values = {} if current else {"DATA_DIR": resolve_data_dir({})}
    values.update(layout.env())
    values["COMPOSE_FILE"] = join(chain)
    values.update({key: value for key, value in secrets.items() if key not in given})
    values.update(given)
    return values
