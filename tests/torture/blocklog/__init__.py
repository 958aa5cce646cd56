# SPDX-License-Identifier: GPL-3.0-or-later
"""Power cuts: a move is recorded write by write, and every state that a cut can leave is booted."""
