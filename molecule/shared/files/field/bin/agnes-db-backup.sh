#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A stand-in for the product's daily backup, which knows /data/state only.
set -u
target=/data/backups/system-duckdb/$(date +%Y%m%d)
mkdir -p "$target"
cp /data/state/system.duckdb "$target/" || exit 1
[ ! -e /data/state/system.duckdb.wal ] || cp /data/state/system.duckdb.wal "$target/"
