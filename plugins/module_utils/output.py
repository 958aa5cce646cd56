# SPDX-License-Identifier: GPL-3.0-or-later
"""The one way out of a module's process: whatever it says is text, and Ansible can read it."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from .core.text import clean


class Module(AnsibleModule):  # type: ignore[misc]
    """AnsibleModule, whose answers are made text; see core/text.py."""

    def exit_json(self, **values: Any) -> None:
        """End well, with ``values``."""
        super().exit_json(**clean(values))

    def fail_json(self, msg: Any, **values: Any) -> None:
        """End with ``msg`` as the reason."""
        super().fail_json(clean(msg), **clean(values))
