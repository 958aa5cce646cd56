# SPDX-License-Identifier: GPL-3.0-or-later
"""A move of state: its intent, kinds, steps and plan. Private to agnes.host."""
