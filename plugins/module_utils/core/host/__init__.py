# SPDX-License-Identifier: GPL-3.0-or-later
"""The host as a whole: its facts, the plan, refusals, the tools on it. Private to agnes.host."""
