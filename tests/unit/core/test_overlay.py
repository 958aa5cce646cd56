# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re
from typing import Any

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.errors import (
    OverlayUnproved,
    VolumeLeftOver,
)
from ansible_collections.agnes.host.plugins.module_utils.core.layouts import LAYOUTS
from ansible_collections.agnes.host.plugins.module_utils.core.overlay import (
    cut,
    prove,
    render,
    say,
    wanted_mounts,
)


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


def test_cut_says_what_silence_means() -> None:
    config = {"services": {"a": {"profiles": None}, "b": {"restart": "always"}}}
    assert cut(config)["services"] == {
        "a": {"profiles": [], "restart": "no", "volumes": []},
        "b": {"profiles": [], "restart": "always", "volumes": []},
    }
    assert cut({}) == {"services": {}, "volumes": {}}
    volumes = {"x": None, "y": {"name": "p_y", "driver_opts": {"o": "bind"}}}
    assert cut({"volumes": volumes})["volumes"] == {
        "x": {"name": "x", "driver_opts": {}},
        "y": {"name": "p_y", "driver_opts": {"o": "bind"}},
    }


def test_the_text_says_from_which_files_it_is_derived() -> None:
    assert "derived from a.yml, b.yml.\n" in render(CONFIG, LAYOUTS["flat"], ["a.yml", "b.yml"])
    assert "derived from its chain.\n" in render(CONFIG, LAYOUTS["flat"])
