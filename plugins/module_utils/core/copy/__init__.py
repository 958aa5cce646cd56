# SPDX-License-Identifier: GPL-3.0-or-later
"""Copying state, and proving the copy. Private to agnes.host."""
