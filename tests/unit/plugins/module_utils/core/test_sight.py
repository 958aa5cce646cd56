# SPDX-License-Identifier: GPL-3.0-or-later
"""What containers see by the chain: asked before a stop, and looked at after the start."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.compose.overlay import (
    cut,
    wanted_mounts,
)
from ansible_collections.agnes.host.plugins.module_utils.core.compose.sight import (
    mounts_in,
    needs,
    remarks,
)
from ansible_collections.agnes.host.plugins.module_utils.core.host.errors import MountOverState
from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import LAYOUTS

DATA = {"type": "volume", "source": "data", "target": "/data"}
DATA_RO = {**DATA, "read_only": True}
OTHER = {"type": "volume", "source": "other", "target": "/data"}
FLAT_ENV = {"STATE_DIR": "/data-state", "DATA_DIR": "/data"}
NESTED_ENV = {"DATA_DIR": "/data"}


def bind(source: str, target: str, **more: Any) -> dict[str, Any]:
    return {"type": "bind", "source": source, "target": target, **more}


def chain(layout: str, services: dict[str, Any]) -> dict[str, Any]:
    """Services as the chain with the derived overlay has them."""
    config = cut({"services": services})
    wanted = wanted_mounts(config, LAYOUTS[layout])
    return {name: {**s, "volumes": wanted[name]} for name, s in config["services"].items()}


TEST_SHADOWED: list[Any] = [
    pytest.param("flat", {"volumes": [DATA], "tmpfs": ["/data-state"]}, "/data-state", id="tmpfs"),
    pytest.param("flat", {"volumes": [DATA], "tmpfs": ["/data-state/:size=1m"]}, "/data-state",
                 id="tmpfs-with-options"),
    pytest.param("flat", {"volumes": [DATA, {"type": "tmpfs", "target": "/data-state"}]},
                 "/data-state", id="tmpfs-long-form"),
    pytest.param("flat", {"volumes": [DATA, bind("/srv/x", "/data-state/")]}, "/data-state",
                 id="bind-with-a-slash"),
    pytest.param("flat", {"volumes": [bind("/srv/x", "/data-state")]}, "/data-state",
                 id="without-data"),
    pytest.param("nested", {"volumes": [DATA], "tmpfs": ["/data/state"]}, "/data/state",
                 id="nested-tmpfs"),
    pytest.param("nested", {"volumes": [DATA_RO, {**OTHER, "target": "/data/state"}]},
                 "/data/state", id="nested-volume"),
    pytest.param("nested", {"volumes": [OTHER], "environment": NESTED_ENV}, "/data/state",
                 id="over-a-parent"),
    pytest.param("nested", {"volumes": [{"type": "volume", "target": "/data"}],
                            "environment": NESTED_ENV}, "/data/state", id="anonymous-volume"),
    pytest.param("flat", {"volumes": [DATA], "environment": {"STATE_DIR": "/data/mine"}},
                 "/data/mine", id="state-on-the-data-disk"),
    pytest.param("flat", {"volumes": [DATA], "environment": {"STATE_DIR": "/var/s"},
                          "tmpfs": ["/var"]}, "/var/s", id="a-state-dir-of-its-own"),
]  # fmt: skip


@pytest.mark.parametrize(("layout", "service", "path"), TEST_SHADOWED)
def test_what_would_lie_over_the_state_is_refused(
    layout: str, service: dict[str, Any], path: str
) -> None:
    with pytest.raises(MountOverState) as refused:
        chain(layout, {"app": service})
    assert refused.value.facts["path"] == path


TEST_NOT_SHADOWED: list[Any] = [
    pytest.param("flat", {"volumes": [DATA], "tmpfs": ["/data-state/duckdb-tmp", "/tmp"]},
                 id="scratch-below"),
    pytest.param("nested", {"volumes": [{**OTHER, "source": "caddy_data"}, {**DATA, "target": "/srv"}]},
                 id="other-software-at-the-same-path"),
    pytest.param("nested", {"volumes": [{**OTHER, "target": "/var/lib/x"}],
                            "environment": {"DATA_DIR": "/var/lib/x"}}, id="a-data-dir-of-its-own"),
    pytest.param("flat", {"volumes": [DATA], "environment": NESTED_ENV}, id="by-the-link"),
    pytest.param("flat", {"environment": FLAT_ENV}, id="no-mount"),
]  # fmt: skip


@pytest.mark.parametrize(("layout", "service"), TEST_NOT_SHADOWED)
def test_what_does_not_lie_over_the_state_is_not_refused(
    layout: str, service: dict[str, Any]
) -> None:
    chain(layout, {"app": service})


TEST_NEEDS: list[Any] = [
    pytest.param("flat", {"volumes": [DATA], "environment": FLAT_ENV},
                 {"/data": "data", "/data-state": "state"}, id="app"),
    pytest.param("nested", {"volumes": [DATA], "environment": NESTED_ENV},
                 {"/data": "data", "/data/state": "state"}, id="nested-app"),
    pytest.param("flat", {"volumes": [DATA_RO]}, {"/data": "data", "/data-state": "state"},
                 id="no-environment"),
    pytest.param("flat", {"volumes": [DATA], "environment": NESTED_ENV},
                 {"/data": "data", "/data-state": "state", "/data/state": "state"},
                 id="reaches-it-by-the-link"),
    pytest.param("nested", {"volumes": [{**DATA_RO, "target": "/srv"},
                                        bind("/data/state/certs", "/certs")]},
                 {"/srv": "data", "/srv/state": "state", "/certs": "state"}, id="nested-caddy"),
    pytest.param("flat", {"volumes": [{**DATA_RO, "target": "/srv"},
                                      bind("/data/state/certs", "/certs")]},
                 {"/srv": "data", "/certs": "state"}, id="caddy"),
    pytest.param("nested", {"volumes": [DATA_RO], "tmpfs": ["/data/state/x"]},
                 {"/data": "data", "/data/state": "state"}, id="scratch-below"),
    pytest.param("flat", {"volumes": [bind("/data/postgres", "/var/lib/pg")]},
                 {"/var/lib/pg": "data"}, id="a-directory-of-the-data-disk"),
    pytest.param("flat", {"volumes": [{**OTHER, "source": "v"}, bind("/srv/data", "/x")]}, {},
                 id="nothing-of-ours"),
]  # fmt: skip


@pytest.mark.parametrize(("layout", "service", "expected"), TEST_NEEDS)
def test_which_paths_must_be_on_which_disk(
    layout: str, service: dict[str, Any], expected: dict[str, str]
) -> None:
    services = chain(layout, {"app": service})
    needed = needs(services, "app", LAYOUTS[layout])
    assert {path: need.role for path, need in needed.items()} == expected


def test_what_a_service_takes_from_another_one_is_its_own_too() -> None:
    services = chain(
        "flat",
        {
            "app": {"volumes": [DATA]},
            "backup": {"volumes_from": ["app:ro"]},
            "late": {"volumes_from": ["container:x", "none"]},
            "blind": {"volumes_from": ["app"], "volumes": [{**OTHER, "target": "/data/"}]},
        },
    )
    flat = LAYOUTS["flat"]
    roles = {path: need.role for path, need in needs(services, "backup", flat).items()}
    assert roles == {"/data": "data", "/data-state": "state"}
    assert all(mount["read_only"] for mount in mounts_in(services, "backup"))
    assert needs(services, "late", flat) == {}
    assert [m["source"] for m in mounts_in(services, "blind")] == ["other", "/data-state"]


def test_what_would_lie_over_the_state_of_another_service_is_refused_too() -> None:
    with pytest.raises(MountOverState):
        chain(
            "flat",
            {
                "app": {"volumes": [DATA]},
                "backup": {"volumes_from": ["app"], "tmpfs": ["/data-state"]},
            },
        )


def test_who_does_not_see_state_is_said() -> None:
    services = chain(
        "flat",
        {
            "app": {"volumes": [DATA], "environment": FLAT_ENV},
            "caddy": {"volumes": [{**DATA_RO, "target": "/srv"}]},
            "helper": {"environment": FLAT_ENV},
        },
    )
    assert remarks(services, LAYOUTS["flat"]) == [
        "service 'caddy' has the data disk at /srv: in layout flat state is not in it",
        "service 'helper' is told STATE_DIR=/data-state and mounts nothing there: what it writes "
        "there is lost with its container",
    ]
    assert remarks(chain("nested", {"caddy": {"volumes": [DATA]}}), LAYOUTS["nested"]) == []
