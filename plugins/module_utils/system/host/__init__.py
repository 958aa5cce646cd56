# SPDX-License-Identifier: GPL-3.0-or-later
"""Observing a host, running commands, durable writes. Private to agnes.host."""
