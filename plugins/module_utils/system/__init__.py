# SPDX-License-Identifier: GPL-3.0-or-later
"""Acting on a host in small steps, and reading it. Private to agnes.host."""
