# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of layouts, where state is, and what .env says of it. Private to agnes.host."""
