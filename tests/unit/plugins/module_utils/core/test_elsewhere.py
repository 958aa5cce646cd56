# SPDX-License-Identifier: GPL-3.0-or-later
"""State in a volume stops what would start the product empty beside it."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.disks.elsewhere import proof
from ansible_collections.agnes.host.plugins.module_utils.core.host.plan import make_plan

from .hosts import (
    STATE,
    blank_disk_host,
    env,
    flat_host,
    host,
    nested_host,
    one_disk_host,
    place,
    volume,
)
from .moving import intent

USED = ["agnes-app-1 (running)"]
UNKNOWN = volume(
    proof=[], size=-1, unknown="its driver is 'rexray', which only the engine can read"
)
RECORDED = {"format": 1, "disks": {"state": {"uuid": "u-state", "phase": "formatted"}}}
EMPTY = {"/data/state": place("absent"), "/data-state": place(mounted=True)}

# host, request, code or a word of the note
TEST_ELSEWHERE: list[Any] = [
    pytest.param(host(elsewhere=[volume()]), {}, "AH012", id="a-volume-without-containers"),
    pytest.param(host(elsewhere=[volume(used_by=USED)]), {}, "AH012", id="the-stack-runs-on-it"),
    pytest.param(
        host(elsewhere=[volume(kind="directory", name="/srv/agnes", path="/srv/agnes")]), {}, "AH012",
        id="a-directory",
    ),
    pytest.param(
        flat_host(elsewhere=[volume()], state=EMPTY, env=env(STATE_DIR="/data-state")), {}, "AH012",
        id="disks-that-somebody-mounted-are-empty",
    ),
    pytest.param(flat_host(elsewhere=[volume()]), {}, "left over", id="old-volume-beside-flat"),
    pytest.param(nested_host(elsewhere=[volume()]), {}, "left over", id="old-volume-beside-nested"),
    pytest.param(one_disk_host(elsewhere=[volume()]), {}, "left over", id="old-volume-beside-a-directory"),
    pytest.param(
        flat_host(elsewhere=[volume()], state=EMPTY, record=RECORDED), {}, "left over",
        id="the-disks-are-this-hosts-own",
    ),
    pytest.param(flat_host(elsewhere=[volume(used_by=USED)]), {}, "AH013", id="containers-on-another-copy"),
    pytest.param(
        flat_host(elsewhere=[volume(used_by=["agnes-app-1 (exited)"])]), {}, "AH013",
        id="stopped-containers-too",
    ),
    pytest.param(
        nested_host(elsewhere=[volume(used_by=USED)]), {"layout": "flat"}, "AH013", id="before-a-move",
    ),
    pytest.param(
        blank_disk_host(elsewhere=[volume(used_by=USED)]), {"layout": "flat"}, "AH013",
        id="before-a-copy",
    ),
    pytest.param(
        flat_host(elsewhere=[volume(used_by=USED)], state=EMPTY, record=RECORDED), {}, "AH012",
        id="recorded-disks-but-the-stack-is-on-the-volume",
    ),
    pytest.param(host(elsewhere=[UNKNOWN]), {}, "AH014", id="could-not-look"),
    pytest.param(flat_host(elsewhere=[UNKNOWN]), {}, "", id="could-not-look-on-a-known-host"),
    pytest.param(
        host(elsewhere=[volume()]), {"left_behind": ["agnes_data"]}, "is left as it is",
        id="left-behind-by-consent",
    ),
    pytest.param(
        host(elsewhere=[UNKNOWN]), {"left_behind": ["agnes_data"]}, "is left as it is",
        id="left-behind-unseen",
    ),
    pytest.param(
        host(elsewhere=[volume(), volume(name="other_data")]), {"left_behind": ["agnes_data"]}, "AH012",
        id="a-consent-is-for-one",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("observed", "request_", "expected"), TEST_ELSEWHERE)
def test_what_lies_elsewhere(observed: Any, request_: dict[str, Any], expected: str) -> None:
    plan = make_plan(observed, request_)
    if expected.startswith("AH"):
        assert plan["code"] == expected
        return
    assert plan["refusal"] == ""
    said = [note for note in plan["notes"] if "agnes_data" in note]
    assert [expected in note for note in said] == ([True] if expected else [])


def test_a_move_that_was_interrupted_goes_on_beside_an_old_volume() -> None:
    observed = nested_host(elsewhere=[volume()])
    observed["moving"]["intent"] = intent()
    assert make_plan(observed, {})["code"] not in ("AH012", "AH013", "AH014")


def contents(names: list[str], state: tuple[str, ...] = (), filled: tuple[str, ...] = ()) -> Any:
    return {
        "names": names,
        "state_names": [*state],
        "filled": [*filled],
        "marker": {},
        "newest": "",
    }


TEST_PROOF: list[Any] = [
    pytest.param(contents([]), True, [], id="empty"),
    pytest.param(contents(STATE), True, ["system.duckdb"], id="state"),
    pytest.param(contents(["state"], ("system.duckdb",)), False, ["state/system.duckdb"], id="data"),
    pytest.param(contents(["extracts"], filled=("extracts",)), True, ["extracts/"], id="only-data"),
    pytest.param(contents(["extracts"]), True, [], id="only-what-an-image-makes"),
    pytest.param(contents(["extracts"], filled=("extracts",)), False, [], id="data-of-somebody-else"),
    pytest.param(contents(["instance.yaml"]), False, [], id="a-name-that-others-have"),
    pytest.param(contents(["instance.yaml"]), True, ["instance.yaml"], id="which-counts-in-our-own"),
    pytest.param(contents(["caddy"], filled=("caddy",)), True, [], id="caddys-own-volume"),
]  # fmt: skip


@pytest.mark.parametrize(("inside", "own", "names"), TEST_PROOF)
def test_what_proves_state(inside: Any, own: bool, names: list[str]) -> None:
    assert proof(inside, own) == names
