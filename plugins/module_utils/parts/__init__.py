# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of a run, each of which says in check mode what it would do, and else does it."""
