# SPDX-License-Identifier: GPL-3.0-or-later
"""The runner of a move: it moves state on the host, by itself. Private to agnes.host."""
