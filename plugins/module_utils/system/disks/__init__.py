# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks, filesystems and mounts, and who holds them. Private to agnes.host."""
