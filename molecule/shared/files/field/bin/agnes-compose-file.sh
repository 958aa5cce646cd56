# SPDX-License-Identifier: GPL-3.0-or-later
# A stand-in for the product's resolver: which compose files a host of its own needs, in its order.
# It knows no overlay of layout flat. Sourced by the upgrade and the applier.

# The value of a key in .env: the first line that begins with it, quotes off.
env_get() { grep -m1 "^$1=" /opt/agnes/.env | cut -d= -f2- | tr -d "\"'"; }

tls_active() { [ -s "$1/certs/fullchain.pem" ] && [ -s "$1/certs/privkey.pem" ] && [ -s /opt/agnes/Caddyfile ]; }

# $1: STATE_DIR. What .env names beside the known files keeps its order, at the end.
resolve_chain() {
    chain=docker-compose.yml:docker-compose.prod.yml
    side_car=$(sed -n 's/^ *backend: *//p' "$1/instance.yaml" 2>/dev/null | head -1)
    [ "$side_car" != side_car ] || chain=$chain:docker-compose.postgres.yml
    chain=$chain:docker-compose.host-mount.yml
    [ "$side_car" != side_car ] || chain=$chain:docker-compose.postgres-host-mount.yml
    if tls_active "$1"; then chain=$chain:docker-compose.tls.yml; fi
    known=:docker-compose.yml:docker-compose.prod.yml:docker-compose.postgres.yml:docker-compose.host-mount.yml
    known=$known:docker-compose.postgres-host-mount.yml:docker-compose.tls.yml:
    for file in $(env_get COMPOSE_FILE | tr : ' '); do
        case $known in *:"$file":*) ;; *) chain=$chain:$file ;; esac
    done
    echo "$chain"
}
