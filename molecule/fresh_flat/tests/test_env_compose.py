# SPDX-License-Identifier: GPL-3.0-or-later
"""The model of Compose's reader of ``.env`` that unit tests use, against Compose itself."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from env_readers import REJECTED, TEST_READERS

FOLDER = "/srv/env"
PROJECT = "services: {s: {image: x, environment: {A: '${A-}'}}}\n"


def put(host: Any, name: str, text: str) -> None:
    """A file in FOLDER, whatever characters its text has."""
    encoded = base64.b64encode(text.encode()).decode()
    host.check_output(f"mkdir -p {FOLDER} && echo '{encoded}' | base64 -d > {FOLDER}/{name}")


@pytest.mark.parametrize(("text", "_by_product", "by_compose"), TEST_READERS)
def test_compose_itself_reads_so(host: Any, text: str, _by_product: str, by_compose: str) -> None:
    put(host, "e", text)
    put(host, "c.yml", PROJECT)
    done = host.run(f"cd {FOLDER} && docker compose --env-file e --file c.yml config --format json")
    if by_compose == REJECTED:
        assert done.rc
        return
    assert done.rc == 0, done.stderr
    value = json.loads(done.stdout)["services"]["s"]["environment"]["A"]
    assert value.replace("$$", "$") == by_compose
