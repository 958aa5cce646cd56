#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A stand-in for the product's rotation of certificates, with its fixed list of files.
set -euo pipefail
cd /opt/agnes
. scripts/ops/agnes-compose-file.sh
from=$(env_get TLS_FULLCHAIN_URL || true)
[ -n "$from" ] || exit 0
state=$(env_get STATE_DIR || true)
certs=${state:-/data/state}/certs
mkdir -p "$certs"
chown 999:999 "$certs"
chmod 0700 "$certs"
cmp -s "${from#file://}" "$certs/fullchain.pem" && exit 0
install -m 0644 "${from#file://}" "$certs/fullchain.pem"
compose=(docker compose -f docker-compose.yml -f docker-compose.prod.yml -f docker-compose.host-mount.yml
         -f docker-compose.tls.yml --profile tls)
if "${compose[@]}" ps --status=running --format '{{.Service}}' | grep -q '^caddy$'; then
    "${compose[@]}" kill -s SIGUSR1 caddy
else
    "${compose[@]}" up -d
fi
