# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the demo stack keeps data and state."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "stack"))

from agnes_demo.paths import data_dir, state_dir


@pytest.mark.parametrize(
    ("env", "data", "state"),
    [
        pytest.param({}, "/data", "/data/state", id="default"),
        pytest.param({"DATA_DIR": "", "STATE_DIR": ""}, "/data", "/data/state", id="empty"),
        pytest.param({"STATE_DIR": "/data-state"}, "/data", "/data-state", id="state override"),
        pytest.param({"DATA_DIR": "/srv/d"}, "/srv/d", "/srv/d/state", id="data override"),
        pytest.param({"DATA_DIR": "/d", "STATE_DIR": ""}, "/d", "/d/state", id="state empty"),
        pytest.param({"DATA_DIR": "/d", "STATE_DIR": "/s"}, "/d", "/s", id="both"),
    ],
)
def test_directories(env: dict[str, str], data: str, state: str) -> None:
    """An override wins, an empty one counts as unset."""
    assert data_dir(env) == Path(data)
    assert state_dir(env) == Path(state)


def test_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an argument the process' own environment is read, at the time of the call."""
    monkeypatch.setenv("DATA_DIR", "/d")
    monkeypatch.setenv("STATE_DIR", "/s")
    assert data_dir() == Path("/d")
    assert state_dir() == Path("/s")
    monkeypatch.delenv("STATE_DIR")
    assert state_dir() == Path("/d/state")
