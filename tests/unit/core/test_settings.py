# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.agnes.host.plugins.module_utils.core import dotenv
from ansible_collections.agnes.host.plugins.module_utils.core.errors import EnvKeyOwned
from ansible_collections.agnes.host.plugins.module_utils.core.layouts import LAYOUTS, Layout
from ansible_collections.agnes.host.plugins.module_utils.core.settings import (
    GENERATED_SECRETS,
    missing_secrets,
    owned_keys,
    wanted_env,
)

NESTED, FLAT = LAYOUTS["nested"], LAYOUTS["flat"]
ALL = ["JWT_SECRET_KEY", "SESSION_SECRET", "SCHEDULER_API_TOKEN"]
CHAIN = ["a.yml", "b.yml"]

TEST_MISSING: list[tuple[dict[str, str], list[str], list[str]]] = [
    ({}, [], ALL),
    ({"JWT_SECRET_KEY": "j"}, [], ["SESSION_SECRET", "SCHEDULER_API_TOKEN"]),
    ({"JWT_SECRET_KEY": ""}, [], ALL),
    ({}, [".jwt_secret"], ["SESSION_SECRET", "SCHEDULER_API_TOKEN"]),
    ({}, [".session_secret"], ["JWT_SECRET_KEY", "SCHEDULER_API_TOKEN"]),
    ({}, [".jwt_secret", ".session_secret", ""], ["SCHEDULER_API_TOKEN"]),
    ({"JWT_SECRET_KEY": ""}, [".jwt_secret"], ["SESSION_SECRET", "SCHEDULER_API_TOKEN"]),
    (dict.fromkeys(ALL, "x"), [], []),
    ({"OTHER": "x"}, [".other"], ALL),
]


@pytest.mark.parametrize(("current", "state_files", "expected"), TEST_MISSING)
def test_missing_secrets(
    current: dict[str, str], state_files: list[str], expected: list[str]
) -> None:
    assert missing_secrets(current, state_files) == expected


@given(
    st.dictionaries(st.sampled_from([*GENERATED_SECRETS, "X"]), st.text("ab", max_size=2)),
    st.sets(st.sampled_from([*filter(None, GENERATED_SECRETS.values()), ".other"])),
)
def test_a_secret_is_generated_only_when_it_is_nowhere(
    current: dict[str, str], state_files: set[str]
) -> None:
    missing = missing_secrets(current, state_files)
    for key, file in GENERATED_SECRETS.items():
        assert (key in missing) is not (bool(current.get(key)) or file in state_files)


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
    made = dict.fromkeys(missing_secrets(current, []), "made")
    values = wanted_env(layout, CHAIN, current, given_, made)
    for key, value in current.items():
        if value and key not in given_:
            assert key not in values
    for key in ALL:
        assert values.get(key) or current.get(key) or key in given_


def test_a_secret_that_only_compose_sees_is_adopted() -> None:
    text = "JWT_SECRET_KEY=\nJWT_SECRET_KEY=the-one-in-use\n"
    assert "JWT_SECRET_KEY" not in missing_secrets(dotenv.read(text), [])
