# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re
from typing import Any

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.compose.overlay import (
    cut,
    prove,
    render,
    say,
    wanted_mounts,
)
from ansible_collections.agnes.host.plugins.module_utils.core.host.errors import (
    OverlayUnproved,
    VolumeLeftOver,
)
from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import LAYOUTS


def volume(target: str, **more: Any) -> dict[str, Any]:
    return {"type": "volume", "source": "data", "target": target, **more}


def bind(source: str, target: str, **more: Any) -> dict[str, Any]:
    return {"type": "bind", "source": source, "target": target, **more}


CONFIG = cut(
    {
        "services": {
            "app": {"environment": {"JWT": "secret"}, "volumes": [volume("/data")]},
            "caddy": {
                "volumes": [
                    volume("/srv", read_only=True),
                    bind("/data/state/certs", "/certs", read_only=True),
                    bind("/opt/agnes/Caddyfile", "/etc/caddy/Caddyfile", read_only=True),
                ]
            },
            "egress": {},
        }
    }
)

TEST_WANTED = [
    ("nested", "app", "/data:/data:rw"),
    ("flat", "app", "/data-state:/data-state:rw, /data:/data:rw"),
    (
        "nested",
        "caddy",
        "/data/state/certs:/certs:ro, /data:/srv:ro, /opt/agnes/Caddyfile:/etc/caddy/Caddyfile:ro",
    ),
    (
        "flat",
        "caddy",
        "/data-state/certs:/certs:ro, /data:/srv:ro, /opt/agnes/Caddyfile:/etc/caddy/Caddyfile:ro",
    ),
    ("flat", "egress", "nothing"),
]


@pytest.mark.parametrize(("layout", "service", "expected"), TEST_WANTED)
def test_wanted_mounts(layout: str, service: str, expected: str) -> None:
    assert say(wanted_mounts(CONFIG, LAYOUTS[layout])[service]) == expected


def test_cut_leaves_secrets_out() -> None:
    assert "secret" not in repr(CONFIG)


def test_render_names_only_services_that_change() -> None:
    text = render(CONFIG, LAYOUTS["flat"])
    assert re.findall(r'^  "(.*)":$', text, re.M) == ["app", "caddy"]
    assert text.count("!override") == 2


def test_wanted_mounts_of_what_is_wanted_are_the_same() -> None:
    for layout in LAYOUTS.values():
        wanted = wanted_mounts(CONFIG, layout)
        again = {"services": {name: {"volumes": mounts} for name, mounts in wanted.items()}}
        assert {n: say(m) for n, m in wanted_mounts(again, layout).items()} == {
            n: say(m) for n, m in wanted.items()
        }


def test_prove_refuses_the_named_volume_and_a_mount_too_many() -> None:
    wanted = wanted_mounts(CONFIG, LAYOUTS["flat"])
    with pytest.raises(VolumeLeftOver):
        prove(CONFIG, wanted, ["a.yml"])
    full = {"services": {"app": {"volumes": [*wanted["app"], bind("/etc", "/etc")]}}}
    with pytest.raises(OverlayUnproved):
        prove(full, wanted, ["a.yml"])
    prove({"services": {"app": {"volumes": wanted["app"]}}}, wanted, ["a.yml"])


SILENT = {
    "profiles": [], "restart": "no", "scale": 1, "image": "", "container_name": "",
    "depends_on": {}, "paths": {}, "volumes": [], "tmpfs": [], "volumes_from": [],
}  # fmt: skip


def test_cut_says_what_silence_means() -> None:
    config = {"services": {"a": {"profiles": None}, "b": {"restart": "always"}, "c": None}}
    assert cut(config)["services"] == {
        "a": SILENT, "b": {**SILENT, "restart": "always"}, "c": SILENT,
    }  # fmt: skip
    assert cut({}) == {"services": {}, "volumes": {}}
    volumes = {"x": None, "y": {"name": "p_y", "driver_opts": {"o": "bind"}}}
    assert cut({"volumes": volumes})["volumes"] == {
        "x": {"name": "x", "driver_opts": {}},
        "y": {"name": "p_y", "driver_opts": {"o": "bind"}},
    }


TEST_RESTART: list[tuple[dict[str, Any], str]] = [
    ({}, "no"),
    ({"restart": ""}, "no"),
    ({"restart": "no"}, "no"),
    ({"restart": "unless-stopped"}, "unless-stopped"),
    ({"restart": "on-failure:3"}, "on-failure"),
    ({"deploy": {"restart_policy": {"condition": "any"}}}, "always"),
    ({"deploy": {"restart_policy": {"condition": "on-failure", "max_attempts": 3}}}, "on-failure"),
    ({"deploy": {"restart_policy": {"condition": "none"}}, "restart": "always"}, "no"),
    ({"deploy": {"restart_policy": {}}, "restart": "always"}, "no"),
    ({"deploy": {"resources": {}}, "restart": "always"}, "always"),
]


@pytest.mark.parametrize(("service", "expected"), TEST_RESTART)
def test_the_restart_policy_is_the_one_that_the_engine_gets(
    service: dict[str, Any], expected: str
) -> None:
    assert cut({"services": {"a": service}})["services"]["a"]["restart"] == expected


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        ({}, 1), ({"scale": 3}, 3), ({"deploy": {"replicas": 2}}, 2),
        ({"scale": 0, "deploy": {"replicas": 2}}, 0), ({"deploy": {"mode": "global"}}, 1),
    ],
)  # fmt: skip
def test_how_many_containers_a_service_has(service: dict[str, Any], expected: int) -> None:
    assert cut({"services": {"a": service}})["services"]["a"]["scale"] == expected


def test_cut_keeps_what_decisions_need_and_no_secret() -> None:
    config = {
        "services": {
            "a": {
                "image": "i:1", "container_name": "n", "environment": {
                    "STATE_DIR": "/data-state", "DATA_DIR": None, "JWT": "topsecret",
                },
                "depends_on": {"b": {"condition": "service_healthy", "required": True}},
                "tmpfs": ["/tmp:size=64k", "/run"], "volumes_from": ["b:ro"],
                "command": ["topsecret"], "labels": {"x": "topsecret"},
            },
        },
        "volumes": {"v": {"driver_opts": {
            "type": "cifs", "device": "//h/s", "o": "bind,password=topsecret", "x": "topsecret",
        }}},
    }  # fmt: skip
    kept = cut(config)
    assert kept["services"]["a"] == {
        **SILENT, "image": "i:1", "container_name": "n", "paths": {"STATE_DIR": "/data-state"},
        "depends_on": {"b": "service_healthy"}, "tmpfs": ["/tmp", "/run"],
        "volumes_from": ["b:ro"],
    }  # fmt: skip
    assert kept["volumes"]["v"]["driver_opts"] == {"type": "cifs", "device": "//h/s", "o": "bind"}
    assert "topsecret" not in repr(kept)


TEST_SIDECARS: list[Any] = [
    pytest.param([volume("/data", read_only=True)], "/data-state:/data-state:ro, /data:/data:ro",
                 id="whole-data-read-only"),
    pytest.param([volume("/data/", read_only=True)], "/data-state:/data-state:ro, /data:/data/:ro",
                 id="with-a-slash"),
    pytest.param([volume("/srv", read_only=True)], "/data:/srv:ro", id="at-another-path"),
    pytest.param([volume("/srv", read_only=True), volume("/data")],
                 "/data-state:/data-state:rw, /data:/data:rw, /data:/srv:ro", id="at-both"),
    pytest.param([volume("/work"), volume("/data", read_only=True)],
                 "/data-state:/data-state:ro, /data:/data:ro, /data:/work:rw",
                 id="its-own-path-decides"),
    pytest.param([volume("/work")], "/data-state:/data-state:rw, /data:/work:rw", id="may-write"),
    pytest.param([volume("/data", read_only=True), bind("/data/state", "/data/state")],
                 "/data-state:/data-state:rw, /data:/data:ro", id="has-state-itself"),
]  # fmt: skip


@pytest.mark.parametrize(("mounts", "expected"), TEST_SIDECARS)
def test_who_sees_the_whole_data_disk_sees_state_in_the_same_mode(
    mounts: list[dict[str, Any]], expected: str
) -> None:
    config = cut({"services": {"reader": {"volumes": mounts}}})
    assert say(wanted_mounts(config, LAYOUTS["flat"])["reader"]) == expected


def test_the_text_says_from_which_files_it_is_derived() -> None:
    assert "derived from a.yml, b.yml.\n" in render(CONFIG, LAYOUTS["flat"], ["a.yml", "b.yml"])
    assert "derived from its chain.\n" in render(CONFIG, LAYOUTS["flat"])
