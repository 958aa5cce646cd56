# SPDX-License-Identifier: GPL-3.0-or-later
"""The tree of state and the files that say where it is. Private to agnes.host."""
