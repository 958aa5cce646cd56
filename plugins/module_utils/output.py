# SPDX-License-Identifier: GPL-3.0-or-later
"""The one way out of a module's process: whatever it says is text, and Ansible can read it."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from .core.host.text import clean


class Module(AnsibleModule):  # type: ignore[misc]
    """AnsibleModule, whose answers are made text; see core/host/text.py."""

    def exit_json(self, **values: Any) -> None:
        """End well, with ``values``."""
        super().exit_json(**clean(values))

    def exit_plain(self, **values: Any) -> None:
        """End well with ``values``, which have no secret by the way in which they are made.

        Ansible hides the values of secret options wherever their characters turn up, also inside of a
        word: a secret ``flat`` or ``8`` would change paths and numbers that decisions depend on.
        """
        secret = {name for name, option in self.argument_spec.items() if option.get("no_log")}
        shown = {name: value for name, value in self.params.items() if name not in secret}
        self.no_log_values: set[str] = set()
        self.exit_json(invocation={"module_args": shown}, **values)

    def fail_json(self, msg: Any, **values: Any) -> None:
        """End with ``msg`` as the reason."""
        super().fail_json(clean(msg), **clean(values))
