# SPDX-License-Identifier: GPL-3.0-or-later
"""Which images run, and whether they are the wanted ones."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.agnes.host.plugins.filter.host import rollout_images
from ansible_collections.agnes.host.plugins.module_utils.core.compose.images import (
    Named,
    say_running,
    used,
)

from .hosts import container

SERVICES = {
    "app": {"image": "agnes:stable"},
    "bot": {"image": "agnes:stable"},
    "caddy": {"image": "caddy:2"},
    "built": {"image": ""},
    "off": {"image": "off:1"},
}
NAMED: dict[str, Named] = {
    "agnes:stable": {"id": "sha256:new", "digests": ["sha256:pulled"]},
    "caddy:2": {"id": "sha256:caddy", "digests": []},
}
NAMES = ["app", "bot", "built", "caddy"]


def images(**running: str) -> dict[str, Any]:
    """What runs: service -> id of its container's image; by default all is as the names say."""
    ids = {"app": "sha256:new", "bot": "sha256:new", "caddy": "sha256:caddy", **running}
    present = {
        name: [container(name, image=image, status="exited" if image == "ended" else "running")]
        for name, image in ids.items()
    }
    return {"images": used(SERVICES, NAMES, present, NAMED)}


def test_each_image_has_its_services_and_the_containers_that_run() -> None:
    assert images(bot="ended")["images"] == {
        "agnes:stable": {
            **NAMED["agnes:stable"], "services": ["app", "bot"], "running": {"agnes-app-1": "sha256:new"},
        },
        "caddy:2": {**NAMED["caddy:2"], "services": ["caddy"], "running": {"agnes-caddy-1": "sha256:caddy"}},
    }  # fmt: skip
    assert say_running(images()["images"]) == "agnes:stable (sha256:pulled), caddy:2 (sha256:caddy)"


@pytest.mark.parametrize("wanted", ["", "sha256:new", "sha256:pulled"])
def test_the_wanted_image_has_that_id_or_was_pulled_with_that_digest(wanted: str) -> None:
    assert rollout_images(images(), wanted, True) == ""


def test_another_image_of_the_app_is_refused_before_a_turn_too() -> None:
    for turned in (False, True):
        said = rollout_images(images(), "sha256:caddy", turned)
        assert said.startswith(
            "AH230: the app's image 'agnes:stable' is sha256:pulled on this host"
        )


def test_an_image_that_is_still_to_be_pulled_is_not_refused_before_the_turn() -> None:
    absent = {"images": used(SERVICES, ["app"], {}, {})}
    assert rollout_images(absent, "sha256:new") == ""
    assert rollout_images({}, "sha256:new") == ""


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        ({"bot": "sha256:old"}, "'agnes-bot-1' runs old, and 'agnes:stable' is new"),
        ({"caddy": "sha256:old"}, "'agnes-caddy-1' runs old, and 'caddy:2' is caddy"),
    ],
)
def test_a_container_of_another_image_is_found_after_the_turn_only(
    runs: dict[str, str], said: str
) -> None:
    assert rollout_images(images(**runs)) == ""
    assert said in rollout_images(images(**runs), "", True)


def test_an_image_that_lost_its_name_while_it_runs_is_no_proof() -> None:
    present = {"app": [container("app", image="sha256:new")]}
    lost = {"images": used(SERVICES, ["app"], present, {})}
    assert "'agnes:stable' is no image on this host" in rollout_images(lost, "", True)
    assert rollout_images(lost, "sha256:new", True).startswith("AH231: ")
