# SPDX-License-Identifier: GPL-3.0-or-later
"""Demo stand-in for the product's services: same paths, same ownership, same shutdown rules."""
