# SPDX-License-Identifier: GPL-3.0-or-later
"""What was proved is what runs, whatever surrounds the project; runs after test_overlay."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Any

import pytest
from play import play

from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import Layout

PROJECT = "/opt/agnes"
HOSTILE = "/usr/local/bin/python-in-another-environment"
ENVIRONMENT = """\
#!/bin/sh
export COMPOSE_FILE=docker-compose.yml:docker-compose.prod.yml COMPOSE_PROJECT_NAME=other
export COMPOSE_PROFILES=none DOCKER_HOST=tcp://127.0.0.1:1 DATA_DIR=/nowhere STATE_DIR=/nowhere
export AGNES_TAG=other PATH=/usr/bin:/bin LC_ALL=C.UTF-8 HOME=/nowhere PWD=/
exec /usr/bin/python3 "$@"
"""
"""What a module is run by, in place of python3: /etc/environment does the same where su makes root."""

PRODUCTS = """\
# The product's own, as its upgrade fetches it.
services:
  app:
    volumes: !override
      - /data:/data
      - ./config:/app/config:ro
      - /srv/extra:/extra:ro
      - ../shared:/shared
      - /data/state/certs:/app-certs:ro
  extract:
    volumes: !override ["/data:/data", "./config:/app/config:ro"]
  scheduler:
    volumes: !override ["/data:/data", "./config:/app/config:ro"]
  telegram-bot:
    volumes: !override ["/data:/data"]
  reports:
    volumes: !override ["/data:/data"]
  caddy:
    volumes: !override
      - ./Caddyfile:/etc/caddy/Caddyfile:ro
      - ./static:/caddy-static:ro
      - /data/state/certs:/certs:ro
      - caddy_data:/data
      - caddy_config:/config
      - /data:/srv:ro
"""
LABEL = "services: {{app: {{labels: {{lab.{}: here}}}}}}\n"


def put(host: Any, path: str, text: str) -> None:
    encoded = base64.b64encode(text.encode()).decode()
    host.check_output(f"mkdir -p $(dirname {path}); echo {encoded} | base64 -d > {path}")


def chain(host: Any) -> str:
    return str(host.check_output(f"grep ^COMPOSE_FILE= {PROJECT}/.env")).partition("=")[2]


def name_chain(host: Any, value: str) -> None:
    host.check_output(f"sed -i 's|^COMPOSE_FILE=.*|COMPOSE_FILE={value}|' {PROJECT}/.env")


def labels(host: Any) -> str:
    return str(host.check_output("docker inspect --format '{{json .Config.Labels}}' agnes-app-1"))


def containers_now(host: Any) -> str:
    """Ids of all containers of all projects: none may come, go or be replaced."""
    return str(host.check_output("docker ps --all --no-trunc --format '{{.ID}} {{.Names}}' | sort"))


@pytest.fixture
def hostile(host: Any, facts: dict[str, Any]) -> dict[str, Any]:
    """The host's variables with an environment that points elsewhere."""
    put(host, HOSTILE, ENVIRONMENT)
    host.check_output(f"chmod 755 {HOSTILE}")
    return {**facts, "ansible_python_interpreter": HOSTILE}


@pytest.fixture
def before(host: Any) -> Iterator[str]:
    """The chain; it, and what the tests here put beside it, is as before at the end."""
    first = chain(host)
    host.check_output(f"rm -rf /srv/kept && cp -a {PROJECT} /srv/kept")
    yield first
    host.check_output(f"cp -a /srv/kept/. {PROJECT} && rm -rf {PROJECT}/.agnes-config-applied "
                      f"{PROJECT}/docker-compose.override.yml {PROJECT}/sub")  # fmt: skip
    host.check_output(f"cd {PROJECT} && docker compose --profile '*' up --detach --wait app")


def test_a_relative_path_is_the_projects_and_nothing_of_ours_is_left(host: Any) -> None:
    inside = host.check_output("docker exec agnes-app-1 stat -c %d:%i /shared")
    assert inside == host.check_output("stat -c %d:%i /opt/shared")
    assert not host.run(f"grep -rn /run/agnes-host {PROJECT}").stdout
    assert not host.run("ls /run/agnes-host | grep stage").stdout


def test_an_override_file_stays_and_the_callers_environment_decides_nothing(
    name: str, host: Any, layout: Layout, hostile: dict[str, Any], before: str
) -> None:
    if layout.name != "flat":
        pytest.skip("once is enough")
    put(host, f"{PROJECT}/docker-compose.override.yml", LABEL.format("override"))
    host.check_output(f"sed -i /^COMPOSE_FILE=/d {PROJECT}/.env")
    done = play("overlay_override", {name: hostile})
    assert done.returncode == 0, done.stdout + done.stderr
    with_override = before.replace("tls.yml", "tls.yml:docker-compose.override.yml")
    assert chain(host) == with_override
    assert '"lab.override":"here"' in labels(host)
    run = containers_now(host)
    assert run.count(" agnes-") == len(run.splitlines())
    host.check_output("docker exec --user 0 agnes-app-1 sh -c 'echo written > /shared/kept'")
    done = play("overlay_override_check", {name: hostile}, "--check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(rf"^{name} .*changed=0 ", done.stdout, re.M), done.stdout
    assert containers_now(host) == run
    # A check run takes nothing away that a container has, wherever the project is put together.
    assert host.check_output("docker exec agnes-app-1 cat /shared/kept") == "written"
    assert host.check_output("cat /opt/shared/kept && rm /opt/shared/kept") == "written"


def test_files_of_the_products_upgrade_and_a_chain_with_files_elsewhere_are_left_alone(
    name: str, host: Any, layout: Layout, hostile: dict[str, Any], before: str
) -> None:
    if layout.name != "nested":
        pytest.skip("once is enough")
    put(host, f"{PROJECT}/{layout.overlay}", PRODUCTS)
    put(host, f"{PROJECT}/.agnes-config-applied", "0000\n")
    put(host, f"{PROJECT}/sub/extra.yml", LABEL.format("sub"))
    put(host, "/srv/more/extra.yml", LABEL.format("more"))
    host.check_output(f"echo '# newer than the image' >> {PROJECT}/docker-compose.yml")
    longer = f"{before}:sub/extra.yml:/srv/more/extra.yml"
    name_chain(host, longer)
    host.check_output(f"cd {PROJECT} && docker compose --profile '*' up --detach --wait app")
    host.check_output(f"cd {PROJECT} && docker compose --profile '*' up --detach")
    run = containers_now(host)
    done = play("overlay_upgraded", {name: hostile})
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(rf"^{name} .*changed=0 ", done.stdout, re.M), done.stdout
    kept = f"left as they are, because the product's own upgrade manages them: {layout.overlay}, docker-compose.yml"
    assert kept in done.stdout
    assert host.file(f"{PROJECT}/{layout.overlay}").content_string == PRODUCTS
    assert chain(host) == longer
    assert '"lab.more":"here"' in labels(host)
    assert '"lab.sub":"here"' in labels(host)
    assert containers_now(host) == run


def test_a_project_of_another_name_is_refused_in_the_plan(
    name: str, host: Any, layout: Layout, facts: dict[str, Any], before: str
) -> None:
    if layout.name != "flat":
        pytest.skip("once is enough")
    host.check_output(f"echo COMPOSE_PROJECT_NAME=agnes_live >> {PROJECT}/.env")
    done = play("overlay_name", {name: facts})
    assert done.returncode != 0
    assert "AH053: Compose gives the project in /opt/agnes the name 'agnes_live'" in done.stdout
    assert re.search(rf"^{name} .*changed=0 ", done.stdout, re.M), done.stdout


def test_a_project_directory_that_is_a_link_is_refused_in_the_plan(
    name: str, host: Any, layout: Layout, facts: dict[str, Any]
) -> None:
    if layout.name != "flat":
        pytest.skip("once is enough")
    host.check_output(f"mv {PROJECT} /srv/agnes-prod && ln -s /srv/agnes-prod {PROJECT}")
    try:
        done = play("overlay_link", {name: facts})
    finally:
        host.check_output(f"rm {PROJECT} && mv /srv/agnes-prod {PROJECT}")
    assert done.returncode != 0
    assert "AH054: '/opt/agnes' is a link to '/srv/agnes-prod'" in done.stdout
    assert re.search(rf"^{name} .*changed=0 ", done.stdout, re.M), done.stdout
