# SPDX-License-Identifier: GPL-3.0-or-later
"""What a move leaves on the host, and the units that it holds back. Private to agnes.host."""
