# SPDX-License-Identifier: GPL-3.0-or-later
"""The Compose project and its stack: the chain, the overlay, services and what they see. Private to agnes.host."""
