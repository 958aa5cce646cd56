#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The same script, changed the first way of docs/boot-script.md: it keeps the keys of the layout.
set -euo pipefail
exec >>/var/log/agnes-startup.log 2>&1

APP_DIR=/opt/agnes
mkdir -p "$APP_DIR"

keep=$(grep -E '^(STATE_DIR|COMPOSE_FILE|AGNES_TLS_FULLCHAIN_PATH)=' /opt/agnes/.env || true)
cat > "$APP_DIR/.env" <<ENV
JWT_SECRET_KEY=jwt-of-the-script-0123456789abcdef012345
SESSION_SECRET=session-of-the-script-0123456789abcdef01
DATA_DIR=/data
SCHEDULER_API_TOKEN=token-of-the-script-0123456789abcdef0123
DOMAIN=agnes.test
ENV
printf '%s\n' "$keep" >> /opt/agnes/.env
chmod 0600 "$APP_DIR/.env"
echo "wrote $APP_DIR/.env at $(date)"
