#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# What the product's own provisioning leaves on hosts, cut to the part that matters: a script that
# runs at each boot and writes .env from what it knows. It has never heard of STATE_DIR.
set -euo pipefail
exec >>/var/log/agnes-startup.log 2>&1

APP_DIR=/opt/agnes
mkdir -p "$APP_DIR"

cat > "$APP_DIR/.env" <<ENV
JWT_SECRET_KEY=jwt-of-the-script-0123456789abcdef012345
SESSION_SECRET=session-of-the-script-0123456789abcdef01
DATA_DIR=/data
SCHEDULER_API_TOKEN=token-of-the-script-0123456789abcdef0123
DOMAIN=agnes.test
COMPOSE_FILE=docker-compose.yml:docker-compose.prod.yml:docker-compose.host-mount.yml:docker-compose.tls.yml
ENV
chmod 0600 "$APP_DIR/.env"
echo "wrote $APP_DIR/.env at $(date)"
