# SPDX-License-Identifier: GPL-3.0-or-later
"""A stage without a host: a project that is nowhere but in a directory of its own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence

from ...core.compose.releases import words_of
from ..host.commands import Done, run
from .stage import Stage


class Scratch(Stage):
    """The project as ``files`` and ``.env`` make it, with nothing of a host beside it.

    Its directory is there as long as one command. It needs neither root nor a mount.
    """

    def words(self) -> dict[str, str]:
        """Service -> what it runs; see releases.words_of. Raises ComposeInvalid."""
        services = self._config().get("services") or {}
        return {name: words_of(service or {}) for name, service in services.items()}

    def launch(self, argv: Sequence[str], codes: Sequence[int], seconds: float) -> Done:
        """Run a command where the files are; see commands.run."""
        os.mkdir(self.directory, 0o700)
        try:
            for name, content in self._contents().items():
                path = os.path.join(self.directory, name)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "wb") as file:
                    file.write(content)
            return run(argv, codes, cwd=self.directory, seconds=seconds)
        finally:
            shutil.rmtree(self.directory)
