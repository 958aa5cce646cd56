# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of every module that says what the compose project shall be."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation of the options in module_utils/options.py."""

    DOCUMENTATION = r"""
options:
  project_dir:
    description: The compose project's directory. Its name is the project's name, and the product needs C(agnes).
    type: str
    default: /opt/agnes
  image:
    description: Image whose C(/opt/agnes-host) has the product's files. Empty to go by what is in the project directory.
    type: str
    default: ""
  artifacts_dir:
    description: Directory on the host that has the product's files, in place of O(image).
    type: str
    default: ""
  profiles:
    description: Compose profiles that shall run.
    type: list
    elements: str
    default: []
  env:
    description: Keys for C(.env) that may be shown.
    type: dict
    default: {}
  secrets:
    description: Keys for C(.env) that are secret.
    type: dict
    default: {}
"""
