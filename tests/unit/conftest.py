# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of all unit tests."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from hypothesis import settings

# A busy machine is no failure. Where CI is set, Hypothesis loads a profile of its own that
# says the same and takes the same inputs each time.
settings.register_profile("unit", deadline=None)
if not os.environ.get("CI"):
    settings.load_profile("unit")

# ansible-test reads no pyproject.toml, where pytest has these folders from.
TESTS = Path(__file__).resolve().parents[1]
sys.path += [folder for name in ("lab", "stack") if (folder := str(TESTS / name)) not in sys.path]
