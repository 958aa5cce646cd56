# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told of a release, and its page."""

from __future__ import annotations

from typing import Any, cast

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.compose.releases import (
    DERIVED,
    OWN,
    Fit,
    astray,
    changes,
    compared,
    lines,
    not_placed,
    page,
    services_seen,
    words_of,
)
from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import LAYOUTS

FLAT, NESTED = LAYOUTS["flat"], LAYOUTS["nested"]


def service(*mounts: tuple[str, str], **more: Any) -> dict[str, Any]:
    volumes = [{"type": "bind", "source": one, "target": other} for one, other in mounts]
    return {"volumes": volumes, "profiles": [], "paths": {"DATA_DIR": "/data"}, **more}


DATA, STATE = ("/data", "/data"), ("/data-state", "/data-state")
TOLD = {"DATA_DIR": "/data", "STATE_DIR": "/data-state"}
SERVICES = {
    "bot": service(DATA, STATE, profiles=["full"], paths=TOLD),
    "app": service(DATA, STATE, paths=TOLD),
    "cache": service(),
}


def fit(**differs: Any) -> Fit:
    whole: dict[str, Any] = {
        "release": "1.0", "layout": "flat", "backend": "duckdb", "kept": True, "chain": "a.yml:b.yml",
        "overlay": FLAT.overlay, "origin": DERIVED, "text": "services: {}\n",
        "services": services_seen(SERVICES, FLAT), "changes": ["one"], "traps": ["a | b"],
    }  # fmt: skip
    return cast(Fit, {**whole, **differs})


def test_of_each_service_the_disks_are_told_that_it_must_see() -> None:
    assert services_seen(SERVICES, FLAT) == {
        "app": {"profiles": [], "data": ["/data"], "state": ["/data-state"]},
        "bot": {"profiles": ["full"], "data": ["/data"], "state": ["/data-state"]},
        "cache": {"profiles": [], "data": [], "state": []},
    }
    nested = services_seen({"app": service(DATA)}, NESTED)
    assert nested["app"]["state"] == ["/data/state"]


def test_what_a_run_changes_is_what_differs_from_the_products_own_chain() -> None:
    own = {"app": service(DATA), "cache": service()}
    assert changes(FLAT, "a:b", DERIVED, SERVICES, ("a", own)) == [
        "`.env` gets `AGNES_TLS_FULLCHAIN_PATH=/data-state/certs/fullchain.pem`",
        "`.env` gets `STATE_DIR=/data-state`",
        "`COMPOSE_FILE` is `a:b` in place of `a`",
        "`docker-compose.flat-mount.yml` is written, see below",
        "service `app` gets `/data-state:/data-state:rw`",
        "service `bot` gets `/data-state:/data-state:rw`, `/data:/data:rw`",
    ]
    assert changes(NESTED, "a", OWN, {"app": service(DATA)}, ("a", {"app": service(DATA)})) == []
    moved = changes(
        NESTED, "a", OWN, {"app": service(("/new", "/x"))}, ("a", {"app": service(("/old", "/x"))})
    )
    assert moved == ["service `app` gets `/new:/x:rw` and loses `/old:/x:rw`"]


def test_where_the_products_own_chain_is_rejected_there_is_nothing_to_compare_with() -> None:
    said = changes(NESTED, "a", DERIVED, SERVICES, None)
    assert said == ["`docker-compose.host-mount.yml` is written, see below"]


ASTRAY = "service '{}' has '{}' in its command or health check, and sees no state there"


@pytest.mark.parametrize(
    ("mounts", "words", "wanted"),
    [
        ([DATA, STATE], "cp /data/state/system.duckdb /backup", []),
        ([DATA, STATE], "ls /data-state", []),
        ([("/data-state", "/s")], "ls /data-state", [ASTRAY.format("app", "/data-state")]),
        ([DATA], "test -s '/data/state/x'", [ASTRAY.format("app", "/data/state")]),
        ([("/data", "/srv")], "cp /data/state/x", [ASTRAY.format("app", "/data/state")]),
        ([("/data", "/srv")], "ls /srv/data/state /data/statements /data", []),
        ([], "", []),
    ],
)
def test_a_command_that_looks_for_state_where_there_is_none_is_told(
    mounts: list[tuple[str, str]], words: str, wanted: list[str]
) -> None:
    """In flat /data/state is a link, which leads somewhere in a container that has both disks."""
    assert astray({"app": words}, {"app": service(*mounts)}, FLAT) == wanted


def test_in_nested_state_is_in_the_data_disk_of_a_container() -> None:
    assert astray({"app": "ls /data/state"}, {"app": service(DATA)}, NESTED) == []


def test_what_a_service_runs_is_its_command_and_its_health_check() -> None:
    check = {"test": ["CMD", "curl", "/data/state"]}
    assert words_of({"entrypoint": None, "command": "a b", "healthcheck": check}) == (
        "a b CMD curl /data/state"
    )
    assert words_of({"command": ["a", "b"], "entrypoint": ["sh"]}) == "sh a b"
    assert words_of({}) == ""


def test_services_of_two_releases_are_compared() -> None:
    assert compared({"app": {}, "new": {}}, {"app": {}, "old": {}}) == [
        "service `new` is new", "service `old` is gone",
    ]  # fmt: skip


def test_a_compose_file_that_nothing_names_is_told_and_no_other_file() -> None:
    names = ("docker-compose.yml", "docker-compose.gcp-logging.yml", FLAT.overlay, "Caddyfile")
    assert not_placed(dict.fromkeys(names, b""), {"docker-compose.yml"}) == [
        "`docker-compose.gcp-logging.yml` is not used: `COMPOSE_FILE` does not name it"
    ]


def test_the_page_has_a_row_and_a_section_for_each() -> None:
    refused = fit(kept=False, origin="", layout="nested", traps=["AH052: x"], services={}, text="")
    text = page([refused, fit()])
    assert "| 1.0 | nested | duckdb | **no** | none | 1 |\n" in text
    assert "| 1.0 | flat | duckdb | yes | derived | 1 |\n" in text
    first, second = text.split("\n## ")[1:]
    assert "- AH052: x\n" in first
    assert "Service" not in first
    assert "`COMPOSE_FILE=a.yml:b.yml`" in second
    assert "| `bot` | full | `/data` | `/data-state` |\n" in second
    assert "| `cache` | always | - | - |\n" in second
    assert second.endswith("as it is written:\n\n```yaml\nservices: {}\n```\n")


def test_an_overlay_of_the_release_is_not_printed_again() -> None:
    text = page([fit(origin=OWN, backend="side_car", changes=[], traps=[])])
    assert "## 1.0, layout flat, database side_car\n" in text
    assert "**Traps.** None found.\n" in text
    assert "**What a run changes.** Nothing.\n" in text
    assert text.endswith("`docker-compose.flat-mount.yml` of the release is taken as it is.\n")


def test_a_line_for_each_with_its_traps() -> None:
    assert lines([fit(), fit(kept=False, origin="", traps=["AH052: x"])]) == [
        "1.0, layout flat: can be kept, overlay derived, traps: 1",
        "    a | b",
        "1.0, layout flat: REFUSED, overlay none, traps: 1",
        "    AH052: x",
    ]
