# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys of ``.env`` that a run writes: the layout's, the user's, and secrets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .chain import join
from .errors import EnvKeyOwned
from .layouts import LAYOUTS, Layout, resolve_data_dir


def owned_keys() -> set[str]:
    """The keys that only layouts decide."""
    keys = {"STATE_DIR", "DATA_DIR", "COMPOSE_FILE"}
    return keys.union(*(layout.env() for layout in LAYOUTS.values()))


def as_text(given: Mapping[str, object]) -> dict[str, str]:
    """The user's values as text: nothing for no value, and YAML's booleans as it spells them."""
    return {
        key: "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
        for key, value in given.items()
    }


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
