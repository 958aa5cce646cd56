# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.agnes.host.plugins.module_utils.core.compose.secret_errors import (
    SecretUnusable,
    VaultKeyContradicts,
)
from ansible_collections.agnes.host.plugins.module_utils.core.compose.state_secrets import (
    GENERATED,
    IN_STATE,
    LIMIT,
    Secret,
    Seen,
    fill,
    secret_of,
)
from ansible_collections.agnes.host.plugins.module_utils.core.host.plan import make_plan
from ansible_collections.agnes.host.plugins.module_utils.core.layout import dotenv

from .hosts import container, env, flat_host, host, secrets

JWT, SESSION, VAULT, DISPATCHER, _KAI = IN_STATE
SCHEDULER = "SCHEDULER_API_TOKEN"
ENV = "/opt/agnes/.env"

TEST_CONTENT: list[tuple[bytes, str, str]] = [
    (b"abc123\n", "found", "abc123"),
    (b"abc123", "found", "abc123"),
    (b"  gJ_-4w==\r\n", "found", "gJ_-4w=="),
    (b"", "absent", ""),
    (b" \n\n", "absent", ""),
    (b"a\nb\n", "unknown", "it has more than one line"),
    (b"-----BEGIN PRIVATE KEY-----\nMII\n", "unknown", "it has more than one line"),
    ("schlüssel".encode(), "unknown", "it is no plain text"),
    (b"\xff\xfe", "unknown", "it is no plain text"),
    (b"a" * (LIMIT + 1), "unknown", "it has more than 4096 bytes"),
    (b"a$b", "unknown", "it holds '$'"),
    (b"a\x00b", "unknown", "it holds '\\x00'"),
]


@pytest.mark.parametrize(("content", "sight", "value_or_why"), TEST_CONTENT)
def test_content(content: bytes, sight: str, value_or_why: str) -> None:
    secret = secret_of(JWT, "/s/.jwt_secret", content)
    assert (secret.found, secret.value or secret.why) == (sight, value_or_why)


@given(st.binary(max_size=40))
def test_what_is_taken_is_read_by_all_readers_as_it_stands(content: bytes) -> None:
    secret = secret_of(JWT, "/s/.jwt_secret", content)
    if secret.found == "found":
        assert dotenv.read(dotenv.upsert("", {JWT: secret.value})) == {JWT: secret.value}
    else:
        assert secret.value == ""


def test_what_is_shown_has_no_value() -> None:
    secret = Secret("/s/.jwt_secret", "found", value="topsecret")
    assert "topsecret" not in repr(secret.seen(JWT, {JWT: "topsecret"}))
    assert secret.seen(JWT, {JWT: "topsecret"})["same"] is True
    assert secret.seen(JWT, {JWT: "other"})["same"] is False
    assert secret.seen(JWT, {})["same"] is None
    assert Secret("/s/.jwt_secret", "unknown").seen(JWT, {JWT: "x"})["same"] is None


def files(**sights: Any) -> dict[str, Seen]:
    return secrets(**sights)["in_state"]["/data-state"]  # type: ignore[no-any-return]


FOUND, NONE, ODD = ("found", "", None), ("absent", "", None), ("unknown", "odd", None)
SAME, OTHER = ("found", "", True), ("found", "", False)

TEST_FILL: list[tuple[dict[str, Any], list[str], bool, list[str], list[str]]] = [
    # files in STATE_DIR, keys of .env, whether the app is up: what is taken, what is made
    ({}, [], False, [], [JWT, SESSION, SCHEDULER]),
    ({JWT: FOUND}, [], False, [JWT], [SESSION, SCHEDULER]),
    ({JWT: FOUND, SESSION: FOUND, VAULT: FOUND}, [], False, [JWT, SESSION, VAULT], [SCHEDULER]),
    ({JWT: FOUND}, [SESSION, SCHEDULER], False, [JWT], []),
    ({DISPATCHER: FOUND}, [JWT, SESSION, SCHEDULER], False, [DISPATCHER], []),
    ({JWT: SAME, SESSION: OTHER}, [JWT, SESSION, SCHEDULER], False, [], []),
    ({JWT: ODD}, [JWT, SESSION, SCHEDULER], False, [], []),
    ({VAULT: ODD}, [VAULT, JWT, SESSION, SCHEDULER], False, [], []),
    # One that runs on its files is not restarted; one whose .env is to be written anyway takes all.
    ({JWT: FOUND, VAULT: FOUND}, [SESSION, SCHEDULER], True, [], []),
    ({JWT: FOUND, VAULT: FOUND}, [SESSION], True, [JWT, VAULT], [SCHEDULER]),
    ({JWT: FOUND}, [], True, [JWT], [SESSION, SCHEDULER]),
]


@pytest.mark.parametrize(("secrets_seen", "current", "up", "taken", "made"), TEST_FILL)
def test_fill(
    secrets_seen: dict[str, Any], current: list[str], up: bool, taken: list[str], made: list[str]
) -> None:
    assert fill(files(**secrets_seen), current, ENV, up) == (taken, made)


@pytest.mark.parametrize("key", IN_STATE)
def test_what_is_needed_and_can_not_be_taken_is_refused(key: str) -> None:
    with pytest.raises(SecretUnusable):
        fill(files(**{key: ODD}), [], ENV, False)


@pytest.mark.parametrize("up", [True, False])
def test_two_vault_keys_are_refused_and_two_others_are_not(up: bool) -> None:
    every = [*GENERATED, *IN_STATE]
    with pytest.raises(VaultKeyContradicts):
        fill(files(**{VAULT: OTHER}), every, ENV, up)
    assert fill(files(**{JWT: OTHER, SESSION: OTHER}), every, ENV, up) == ([], [])


@given(
    st.sets(st.sampled_from([*GENERATED, *IN_STATE])),
    st.dictionaries(st.sampled_from(list(IN_STATE)), st.sampled_from([FOUND, NONE])),
)
def test_a_secret_is_made_only_where_it_is_nowhere_and_a_vault_key_never(
    current: set[str], secrets_seen: dict[str, Any]
) -> None:
    taken, made = fill(files(**secrets_seen), current, ENV, False)
    assert VAULT not in made
    for key in GENERATED:
        in_file = secrets_seen.get(key, NONE) is FOUND
        assert (key in made) is not (key in current or in_file)
        assert not (key in taken and key in current)


TEST_PLANNED: list[Any] = [
    pytest.param(
        host(secrets=secrets()), {"layout": "flat"},
        [f"make {JWT}, {SESSION}, {SCHEDULER} (this host has none)"], id="fresh",
    ),
    pytest.param(
        host(secrets=secrets()), {"layout": "flat", "given_keys": [JWT, SESSION, SCHEDULER]},
        [], id="all-in-the-inventory",
    ),
    pytest.param(
        flat_host(env=env(STATE_DIR="/data-state"), secrets=secrets(JWT_SECRET_KEY=FOUND, AGNES_VAULT_KEY=FOUND)),
        {},
        [
            f"take {JWT}, {VAULT} into .env from the files in STATE_DIR",
            f"make {SESSION}, {SCHEDULER} (the ones that this state was used with are lost)",
        ],
        id="env-was-lost",
    ),
    pytest.param(
        flat_host(
            mounts=flat_host()["mounts"][:1], state=host()["state"], secrets=secrets(),
            record={"format": 1, "disks": {"state": {"uuid": "u-state", "phase": "formatted"}}},
        ),
        {"layout": "flat"},
        [f"secrets that .env lacks: taken from state where it has them, else generated ({JWT}, {SESSION}, "
         f"{SCHEDULER})"],
        id="not-mounted-yet",
    ),
    pytest.param(
        flat_host(secrets=secrets(JWT, SESSION, SCHEDULER, JWT_SECRET_KEY=OTHER)), {},
        [f"note: /data-state/.jwt_secret has another secret than {JWT} in .env, which is the one that counts"],
        id="two-that-differ",
    ),
    pytest.param(
        flat_host(secrets=secrets(*GENERATED, DISPATCHER, DISPATCHER_PG_PASSWORD=OTHER)), {},
        [f"note: /data-state/dispatcher-pg-password has another secret than {DISPATCHER} in .env, which is "
         "the one that counts until a boot script of the product rewrites .env"],
        id="one-that-a-boot-would-change",
    ),
    pytest.param(
        flat_host(
            secrets=secrets(SESSION, SCHEDULER, JWT_SECRET_KEY=FOUND),
            containers=[container("app")],
        ), {}, [], id="one-that-runs",
    ),
]  # fmt: skip


def about_secrets(sentences: list[str]) -> list[str]:
    return [each for each in sentences if "SECRET" in each or "secret" in each]


@pytest.mark.parametrize(("observed", "request_", "sentences"), TEST_PLANNED)
def test_the_plan_names_the_keys_that_are_taken_or_made(
    observed: Any, request_: dict[str, Any], sentences: list[str]
) -> None:
    plan = make_plan(observed, request_)
    assert plan["refusal"] == ""
    assert about_secrets(plan["sentences"]) == sentences
