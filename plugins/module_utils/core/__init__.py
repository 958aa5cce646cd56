# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions: facts in, plan out. Nothing here reads or changes anything. Private."""
