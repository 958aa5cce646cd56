# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine that moves state: it runs on the host, by itself. Private to agnes.host."""
