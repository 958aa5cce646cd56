# SPDX-License-Identifier: GPL-3.0-or-later
"""What a module says is neither changed by a secret that is a common word, nor does it hold one."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule

from ansible_collections.agnes.host.plugins.module_utils.output import Module


def test_a_secret_that_is_a_common_word_changes_no_answer_and_is_not_in_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: dict[str, Any] = {}

    def formatted(self: AnsibleModule, answer: dict[str, Any]) -> None:
        said.update(answer, masked=set(self.no_log_values))
        raise SystemExit

    monkeypatch.setattr(AnsibleModule, "_return_formatted", formatted, raising=True)
    module = Module.__new__(Module)
    monkeypatch.setattr(AnsibleModule, "do_cleanup_files", lambda _self: None)
    module.argument_spec = {"layout": {"type": "str"}, "secrets": {"type": "dict", "no_log": True}}
    module.params = {"layout": "flat", "secrets": {"KEY": "flat"}}
    module.no_log_values = {"flat"}
    with pytest.raises(SystemExit):
        module.exit_plain(host={"state_dir": "/data-flat\udcff", "mounts": 8})
    assert said["host"] == {"state_dir": "/data-flat\\xff", "mounts": 8}
    assert said["masked"] == set()
    assert said["invocation"] == {"module_args": {"layout": "flat"}}
