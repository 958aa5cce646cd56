# SPDX-License-Identifier: GPL-3.0-or-later
"""Which overlay is taken: the one that is there, the product's, or a derived one."""

from __future__ import annotations

import json
import re
from typing import Any, cast

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.compose.overlay import PERMIT, cut
from ansible_collections.agnes.host.plugins.module_utils.core.host.errors import VolumeLeftOver
from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import LAYOUTS
from ansible_collections.agnes.host.plugins.module_utils.system.compose.overlays import (
    proved_overlay,
)
from ansible_collections.agnes.host.plugins.module_utils.system.compose.stage import Stage

FLAT, NESTED = LAYOUTS["flat"], LAYOUTS["nested"]
VOLUME = {"type": "volume", "source": "data", "target": "/data"}


def bind(source: str, **differs: Any) -> dict[str, Any]:
    return {"type": "bind", "source": source, "target": source, **differs}


BASE = {"services": {name: {"volumes": [VOLUME]} for name in ("app", "bot")}}
RIGHT = {name: [bind("/data"), bind("/data-state")] for name in ("app", "bot")}
STALE = {"app": RIGHT["app"]}


class Fake:
    """Files that replace services' mounts, laid over each other as Compose does."""

    def __init__(self, **files: dict[str, Any]) -> None:
        self.files = {name.replace("_", "-"): services for name, services in files.items()}

    def put(self, name: str, content: bytes) -> None:
        rows = re.findall(r'^  "(\w+)":|^      - (.*)$', content.decode(), re.M)
        services: dict[str, Any] = {}
        for service, mount in rows:
            if service:
                services[service] = []
            else:
                services[[*services][-1]].append(json.loads(mount))
        self.files[name] = services

    def resolve(self, chain: list[str]) -> dict[str, Any]:
        config = json.loads(json.dumps(BASE))
        for name in chain[1:]:
            for service, volumes in self.files[name].items():
                config["services"][service]["volumes"] = volumes
        return cut(config)


def text(mounts: dict[str, Any]) -> bytes:
    lines = []
    for name, volumes in mounts.items():
        lines += [f'  "{name}":', *(f"      - {json.dumps(mount)}" for mount in volumes)]
    return "\n".join(lines).encode()


CHAIN = ["base.yml", FLAT.overlay]


def chosen(fake: Fake, chain: list[str], present: bool, offered: Any) -> bytes:
    overlay, config = proved_overlay(cast(Stage, fake), FLAT, chain, present, offered)
    assert {n: s["volumes"] for n, s in config["services"].items()}.keys() == {"app", "bot"}
    assert config == fake.resolve(chain)
    return overlay


def test_one_that_is_there_and_passes_stays_whatever_is_offered() -> None:
    fake = Fake(**{FLAT.overlay: RIGHT})
    assert chosen(fake, CHAIN, True, b"other") == b""
    assert chosen(fake, CHAIN, True, None) == b""


def test_the_products_own_is_taken_before_one_is_derived() -> None:
    assert chosen(Fake(), CHAIN, False, text(RIGHT)) == text(RIGHT)
    assert chosen(Fake(**{FLAT.overlay: STALE}), CHAIN, True, text(RIGHT)) == text(RIGHT)


@pytest.mark.parametrize("present", [True, False])
@pytest.mark.parametrize("offered", [None, text(STALE)])
def test_one_is_derived_where_neither_passes(present: bool, offered: Any) -> None:
    fake = Fake(**({FLAT.overlay: STALE} if present else {}))
    assert b"Written by agnes.host for layout flat" in chosen(fake, CHAIN, present, offered)


def test_what_an_overlay_before_ours_changed_is_said_again() -> None:
    """A service that needs nothing in flat, and that the product's nested overlay gives another mount."""
    state = [bind("/data-state")]
    fake = Fake(**{"own.yml": {"bot": state}, NESTED.overlay: {"bot": [bind("/data/state")]}})
    chain = ["base.yml", "own.yml", NESTED.overlay, FLAT.overlay]
    assert b'"bot":' in chosen(fake, chain, False, None)
    (mount,) = fake.resolve(chain)["services"]["bot"]["volumes"]
    assert mount["source"] == "/data-state"


def test_no_overlay_that_fails_the_proof_is_given_back() -> None:
    """A file behind ours has the last word."""
    fake = Fake(**{"last.yml": {"app": [VOLUME]}})
    with pytest.raises(VolumeLeftOver):
        proved_overlay(cast(Stage, fake), FLAT, [*CHAIN, "last.yml"], False, text(RIGHT))


def test_with_the_guard_of_the_stack_each_service_needs_its_permit() -> None:
    """One that is right but for that is replaced, and goes when it is not wanted any more."""
    fake = Fake(**{FLAT.overlay: RIGHT})
    derived, config = proved_overlay(cast(Stage, fake), FLAT, CHAIN, True, text(RIGHT), None, True)
    assert b'"bot":' in derived
    for service in config["services"].values():
        (permit,) = [mount for mount in service["volumes"] if mount["source"] == PERMIT]
        assert permit["target"] == PERMIT
        assert permit["read_only"]
        assert permit["bind"] == {"create_host_path": False}
    assert proved_overlay(cast(Stage, fake), FLAT, CHAIN, True, None, None, True)[0] == b""
    assert (
        PERMIT.encode()
        not in proved_overlay(cast(Stage, fake), FLAT, CHAIN, True, None, None, False)[0]
    )
    assert PERMIT not in json.dumps(fake.files)
