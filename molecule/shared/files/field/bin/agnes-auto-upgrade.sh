#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A stand-in for the product's upgrade, which root's crontab runs: it fetches the files that it
# manages and recreates the stack when they, or the image, are others than before.
set -euo pipefail
exec 9>/var/lock/agnes-auto-upgrade.lock
flock -n 9 || exit 0
cd /opt/agnes
[ -f scripts/ops/agnes-compose-file.sh ] || exit 0
. scripts/ops/agnes-compose-file.sh
say() { logger -t agnes-auto-upgrade "$*"; }

state=$(env_get STATE_DIR || true)
state=${state:-/data/state}
# /srv/upstream stands for the product's main branch.
for file in /srv/upstream/*.yml; do
    cmp -s "$file" "$(basename "$file")" || cp "$file" .
done

chain=$(resolve_chain "$state")
named=$(env_get COMPOSE_FILE || true)
[ "$named" = "$chain" ] || say "WARN: .env names another chain than this host needs: $named, not $chain"
export COMPOSE_FILE=$chain
profile=(); if tls_active "$state"; then profile=(--profile tls); fi

now=$(sed "s/^/$(docker image inspect --format '{{.Id}}' agnes-demo:1) /" ${chain//:/ } | sha256sum)
if [ "$now" != "$(cat .agnes-config-applied 2>/dev/null || true)" ]; then
    say "new files or image: up"
    chown -R 999:999 "$state" /data/extracts /data/analytics
    docker compose "${profile[@]}" up --detach 9>&-
    echo "$now" > .agnes-config-applied
fi
date +%s.%N >> /srv/ticks
