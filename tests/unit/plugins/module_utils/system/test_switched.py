# SPDX-License-Identifier: GPL-3.0-or-later
"""What a move makes of the project is what the run after it would make of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.compose.chain import (
    BASE,
    TLS_OVERLAY,
    chain_for,
    chain_now,
    join,
)
from ansible_collections.agnes.host.plugins.module_utils.core.host.errors import (
    ComposeInvalid,
    OverlayUnproved,
)
from ansible_collections.agnes.host.plugins.module_utils.core.layout import dotenv
from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import LAYOUTS
from ansible_collections.agnes.host.plugins.module_utils.system.compose import switched as switches
from ansible_collections.agnes.host.plugins.module_utils.system.compose.overlays import in_order
from ansible_collections.agnes.host.plugins.module_utils.system.compose.stage import Stage

NESTED, FLAT = LAYOUTS["nested"], LAYOUTS["flat"]
HOST_MOUNT, FLAT_MOUNT, OWN = NESTED.overlay, FLAT.overlay, "mine.yml"
PROVED: dict[str, Any] = {"services": {}, "volumes": {}}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with the product's files and one of others; each overlay passes its proof."""
    for name in (*BASE, TLS_OVERLAY, HOST_MOUNT, OWN):
        (tmp_path / name).write_text(name)
    monkeypatch.setattr(switches, "proved_overlay", lambda *_arguments: (b"derived", PROVED))
    monkeypatch.setattr(Stage, "means_the_same", lambda *_arguments: True)
    return tmp_path


def moved(project: Path, current: Sequence[str], profiles: Sequence[str], **more: Any) -> Any:
    text = f"A=1\nCOMPOSE_FILE={join(current)}\n"
    return switches.switched("docker", str(project), NESTED, FLAT, text, profiles, "duckdb", **more)


CHAINS: list[Any] = [
    pytest.param([*BASE, HOST_MOUNT], ["tls"], [*BASE, HOST_MOUNT, TLS_OVERLAY, FLAT_MOUNT],
                 id="the-profile-brings-tls"),
    pytest.param([*BASE, HOST_MOUNT], [], [*BASE, HOST_MOUNT, FLAT_MOUNT], id="no-profile"),
    pytest.param([*BASE, TLS_OVERLAY, HOST_MOUNT], ["tls"],
                 [*BASE, HOST_MOUNT, TLS_OVERLAY, FLAT_MOUNT], id="an-older-order"),
    pytest.param([*BASE, OWN, HOST_MOUNT, TLS_OVERLAY], ["tls"],
                 [*BASE, HOST_MOUNT, TLS_OVERLAY, OWN, FLAT_MOUNT], id="tls-behind-others"),
]  # fmt: skip


@pytest.mark.parametrize(("current", "profiles", "expected"), CHAINS)
def test_the_run_after_a_move_has_nothing_to_change_in_the_chain(
    project: Path, current: list[str], profiles: list[str], expected: list[str]
) -> None:
    after_move = moved(project, current, profiles)
    assert after_move.chain == expected
    env = dotenv.read(after_move.env_text)
    assert env["COMPOSE_FILE"] == join(expected)
    assert (env["A"], env["STATE_DIR"]) == ("1", "/data-state")
    assert after_move.stage.env_text() == after_move.env_text
    present = [path.name for path in project.iterdir()]
    after = chain_for(FLAT, chain_now(env, present, str(project)), profiles, present)
    assert in_order(after_move.stage, after) == expected


def test_what_means_something_else_in_another_order_keeps_its_own(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Stage, "means_the_same", lambda *_arguments: False)
    current = [*BASE, OWN, TLS_OVERLAY]
    wanted = [*BASE, HOST_MOUNT, OWN, TLS_OVERLAY, FLAT_MOUNT]
    assert moved(project, current, ["tls"]).chain == wanted

    def rejects(*_arguments: Any) -> bool:
        raise ComposeInvalid(files="x", found="y")

    monkeypatch.setattr(Stage, "means_the_same", rejects)
    assert moved(project, current, ["tls"]).chain == wanted


def test_a_chain_that_was_proved_before_is_not_thought_of_again(project: Path) -> None:
    known = [*BASE, OWN, FLAT_MOUNT]
    assert moved(project, [*BASE, HOST_MOUNT], ["tls"], known=known).chain == known


def test_an_overlay_of_the_layout_that_is_left_goes_where_the_proof_fails_with_it(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def proved(_stage: Stage, _layout: Any, chain: list[str], _present: bool) -> Any:
        if HOST_MOUNT in chain:
            raise OverlayUnproved(chain=join(chain), service="app", found="x", wanted="y")
        return b"", PROVED

    monkeypatch.setattr(switches, "proved_overlay", proved)
    assert moved(project, [*BASE, HOST_MOUNT], []).chain == [*BASE, FLAT_MOUNT]
