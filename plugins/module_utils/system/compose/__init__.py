# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine, Compose, the stack and its web server. Private to agnes.host."""
