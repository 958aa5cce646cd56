# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's own tools: they keep a host right between two runs of the playbook. Private to agnes.host."""
