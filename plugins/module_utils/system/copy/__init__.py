# SPDX-License-Identifier: GPL-3.0-or-later
"""Copying a tree, and reading it whole. Private to agnes.host."""
