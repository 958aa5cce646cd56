#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A stand-in for the product's applier of database changes, which knows /data/state only.
set -euo pipefail
exec 9>/data/state/db-state-applier.lock
flock -n 9 || exit 0
touch /data/state/agnes-state-applier.tick
