# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks: what they are, what is on them, and what is to be done with each. Private to agnes.host."""
