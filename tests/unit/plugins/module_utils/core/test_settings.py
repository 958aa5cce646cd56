# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.agnes.host.plugins.module_utils.core.compose.state_secrets import fill
from ansible_collections.agnes.host.plugins.module_utils.core.host.errors import EnvKeyOwned
from ansible_collections.agnes.host.plugins.module_utils.core.host.host_errors import ChangedByYaml
from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import LAYOUTS, Layout
from ansible_collections.agnes.host.plugins.module_utils.core.layout.settings import (
    as_text,
    owned_keys,
    wanted_env,
)

NESTED, FLAT = LAYOUTS["nested"], LAYOUTS["flat"]
ALL = ["JWT_SECRET_KEY", "SESSION_SECRET", "SCHEDULER_API_TOKEN"]
CHAIN = ["a.yml", "b.yml"]


def test_the_keys_that_layouts_own() -> None:
    assert owned_keys() == {"STATE_DIR", "DATA_DIR", "COMPOSE_FILE", "AGNES_TLS_FULLCHAIN_PATH"}


@pytest.mark.parametrize("key", sorted(owned_keys()))
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=str)
def test_a_key_that_layouts_own_is_refused_even_with_the_right_value(
    layout: Layout, key: str
) -> None:
    value = {**layout.env(), "DATA_DIR": "/data", "COMPOSE_FILE": "a.yml:b.yml"}.get(key, "")
    with pytest.raises(EnvKeyOwned) as refused:
        wanted_env(layout, CHAIN, {}, {"DOMAIN": "x", key: value}, {})
    assert str(refused.value) == (
        f"AH050: {key} in agnes_compose_env is decided by the layout; take it out, and choose "
        "with -e layout= or state_layout_wanted"
    )


def test_a_fresh_env_has_the_data_dir_the_chain_and_what_was_given() -> None:
    assert wanted_env(NESTED, CHAIN, {}, {"DOMAIN": "x"}, {"JWT_SECRET_KEY": "made"}) == {
        "DATA_DIR": "/data",
        "COMPOSE_FILE": "a.yml:b.yml",
        "JWT_SECRET_KEY": "made",
        "DOMAIN": "x",
    }


def test_an_env_that_exists_gets_the_layouts_keys_and_no_data_dir() -> None:
    assert wanted_env(FLAT, CHAIN, {"LOG_LEVEL": "info"}, {}, {}) == {
        "STATE_DIR": FLAT.state_dir,
        "AGNES_TLS_FULLCHAIN_PATH": f"{FLAT.state_dir}/certs/fullchain.pem",
        "COMPOSE_FILE": "a.yml:b.yml",
    }


def test_a_given_secret_wins_over_a_generated_one() -> None:
    made = {"JWT_SECRET_KEY": "made", "SESSION_SECRET": "made"}
    values = wanted_env(NESTED, CHAIN, {"X": "1"}, {"JWT_SECRET_KEY": "given"}, made)
    assert values["JWT_SECRET_KEY"] == "given"
    assert values["SESSION_SECRET"] == "made"


VALUES = st.dictionaries(st.sampled_from(["DOMAIN", "LOG_LEVEL", *ALL]), st.text("ab", max_size=2))


@given(st.sampled_from([*LAYOUTS.values()]), VALUES, VALUES)
def test_what_env_has_is_never_written_again_unless_it_was_given(
    layout: Layout, current: dict[str, str], given_: dict[str, str]
) -> None:
    having = [key for key in current if current[key]]
    made = dict.fromkeys(fill({}, having, "/opt/agnes/.env", False)[1], "made")
    values = wanted_env(layout, CHAIN, current, given_, made)
    for key, value in current.items():
        if value and key not in given_:
            assert key not in values
    for key in ALL:
        assert values.get(key) or current.get(key) or key in given_


TEST_TEXT: list[tuple[object, str]] = [
    ("1.10", "1.10"), ("010", "010"), (8000, "8000"), (None, ""), (True, "true"), (False, "false"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "text"), TEST_TEXT)
def test_values_as_text(value: object, text: str) -> None:
    assert as_text({"A": value}) == {"A": text}


@pytest.mark.parametrize("value", [1.1, 1e3, float("nan"), ["s3cr3t"], {"s3cr3t": 1}])
def test_what_yaml_may_have_changed_is_refused_and_not_shown(value: object) -> None:
    with pytest.raises(ChangedByYaml) as refused:
        as_text({"A": value})
    assert "s3cr3t" not in str(refused.value)
