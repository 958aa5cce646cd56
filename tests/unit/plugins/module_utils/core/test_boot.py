# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.layout.boot import (
    at_boot,
    lines_that_write,
    say,
)

TEST_LINES: list[Any] = [
    pytest.param('A=1\ncat > "${DIR}/.env" <<EOF\n', [2], id="quoted"),
    pytest.param("A=1\ncat >/opt/agnes/.env <<EOF\n", [2], id="no-space"),
    pytest.param("A=1\n{ echo; } >> .env\n", [2], id="appended"),
    pytest.param("A=1\necho A | tee /opt/agnes/.env\n", [2], id="tee"),
    pytest.param("A=1\nexec 3> /opt/agnes/.env;\n", [2], id="exec"),
    pytest.param("A=1\n  # cat > .env\ncat < .env > other\n", [], id="read"),
    pytest.param("A=1\ncat > /opt/agnes/my.env.bak\n", [], id="another-file"),
    pytest.param("", [], id="empty"),
    pytest.param("f=/opt/agnes/.env\ncat > $f <<EOF\n", [2], id="the name is in a variable"),
    pytest.param("cat > new <<EOF\nmv new /opt/agnes/.env\n", [2], id="it is moved there"),
    pytest.param(
        "cat > new <<EOF\ninstall -m 600 new /opt/agnes/.env\n", [2], id="it is installed there"
    ),
    pytest.param(
        "set -e\nsed -i /^STATE_DIR=/d /opt/agnes/.env\n", [2], id="it is changed in place"
    ),
    pytest.param(
        'A=1\ncat > "$DIR"/.env <<EOF\n', [2], id="only-the-directory-is-quoted",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("script", "expected"), TEST_LINES)
def test_lines_that_write(script: str, expected: list[int]) -> None:
    assert lines_that_write(script) == expected


WRITES = [
    "curl -fsS https://x -o /opt/agnes/.env",
    "curl -sSfLo /opt/agnes/.env https://x",
    "curl --output /opt/agnes/.env https://x || exit 1",
    "wget -O /opt/agnes/.env https://x",
    "wget -qO/opt/agnes/.env https://x",
    "wget --output-document=/opt/agnes/.env https://x",
    "gcloud secrets versions access latest --secret=env --out-file=/opt/agnes/.env",
    "gcloud secrets versions access latest --secret=env --out-file /opt/agnes/.env",
    "az keyvault secret download --name env --file /opt/agnes/.env",
    "aws s3 cp s3://b/env /opt/agnes/.env --quiet >/dev/null; cp new /opt/agnes/.env",
    "gsutil cp gs://b/env /opt/agnes/.env",
    "rsync -a /srv/env/ /opt/agnes/.env",
    "scp host:env /opt/agnes/.env",
    "dd if=/srv/env of=/opt/agnes/.env status=none",
    "install -m 0600 -o 999 /srv/env /opt/agnes/.env 2>/dev/null",
    "install -m 0600 /srv/.env /opt/agnes/",
    "cd /opt/agnes && cp /srv/.env .",
    "cp -f new /opt/agnes/.env # as every day",
    "ln -sfn /srv/env /opt/agnes/.env",
    "echo A=1 >| /opt/agnes/.env",
    "echo A=1 &> /opt/agnes/.env",
    "printf x 1>/opt/agnes/.env",
    "cat <<EOF | tee /opt/agnes/.env",
    "cat <<EOF | sudo tee -a /opt/agnes/.env >/dev/null",
    "cat <<'EOF' | tee /root/copy /opt/agnes/.env",
    "generate | sponge /opt/agnes/.env",
    "openssl enc -d -in /srv/env -out /opt/agnes/.env",
    "sops -d --output /opt/agnes/.env /srv/env",
    "envsubst < env.tpl >'/opt/agnes/.env'",
    "perl -pi -e 's/^STATE_DIR.*//' /opt/agnes/.env",
    "gawk -i inplace '!/STATE_DIR/' /opt/agnes/.env",
    "truncate -s 0 /opt/agnes/.env",
    """python3 -c 'open("/opt/agnes/.env", "w").write("A=1")'""",
    """python3 -c "open('/opt/agnes/.env', mode='a').write('A=1')\"""",
    """Path("/opt/agnes/.env").write_text(text)""",
    """os.replace(new, "/opt/agnes/.env")""",
    """ExecStart=/bin/sh -c 'cat /srv/env > /opt/agnes/.env'""",
    "ExecStartPre=-/usr/bin/install -m 600 /srv/env /opt/agnes/.env",
    "StandardOutput=truncate:/opt/agnes/.env",
    "@reboot root cp /srv/env /opt/agnes/.env",
    "f+ /opt/agnes/.env 0600 root root - A=1",
    '[ -n "$X" ] && cat new > "${DIR:-/opt/agnes}/.env"',
    'cat new > "${ENV_FILE:-/opt/agnes/.env}"',
]

READS = [
    # of the product's own units and scripts
    "ExecStart=/bin/sh -c 'if [ -f /opt/agnes/.env ]; then chown a:a /opt/agnes/.env && chmod 0600 /opt/agnes/.env; fi'",
    'set -a; . "$COMPOSE_DIR/.env"; set +a',
    "EnvironmentFile=/opt/agnes/.env",
    "docker compose --env-file /opt/agnes/.env up -d >/dev/null 2>&1",
    "cp -p /opt/agnes/.env /opt/agnes/.env.bak",
    "cp /opt/agnes/.env /root/backup/",
    "install -m 600 /opt/agnes/.env /root/env",
    "grep -o STATE_DIR /opt/agnes/.env",
    "ls -lo /opt/agnes/.env",
    "grep -m1 '^A=' /opt/agnes/.env | cut -d= -f2- > /run/a",
    "echo 'see /opt/agnes/.env' >> /var/log/agnes.log",
    """python3 -c 'print(open("/opt/agnes/.env").read())'""",
    """python3 -c 'open("/opt/agnes/.env", "r").read()'""",
    "touch -c /opt/agnes/.env",
    "f /opt/agnes/.env 0600 root root - A=1",
    "# cp new /opt/agnes/.env",
]


@pytest.mark.parametrize("line", WRITES)
def test_a_line_that_writes_the_file_is_seen(line: str) -> None:
    assert lines_that_write(f"#!/bin/sh\n{line}\n") == [2]


@pytest.mark.parametrize("line", READS)
def test_a_line_that_does_not_is_no_reason_to_refuse(line: str) -> None:
    assert lines_that_write(f"#!/bin/sh\n{line}\n") == []


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("curl -fsS https://x \\\n  --retry 3 \\\n  -o /opt/agnes/.env\n", [1]),
        ("F=$DIR/.env\ncurl https://x -o ${F}\n", [2]),
        ("declare -r F=/opt/agnes/.env\ndd of=$F\n", [2]),
        ('F="${F:-/opt/agnes/.env}"\ncat new > "$F"\n', [2]),
        (': "${F:=/opt/agnes/.env}"\ncat new > "$F"\n', [2]),
        ('ENV = Path("/opt/agnes/.env")\nENV.write_text(text)\n', [2]),
        ('ENV = "/opt/agnes/.env"\nwith open(ENV, "w") as file:\n', [2]),
        ("F=/opt/agnes/.env\ncp $F /root/\n", []),
    ],
)
def test_lines_that_write_by_a_name_or_over_several_lines(script: str, expected: list[int]) -> None:
    assert lines_that_write(script) == expected


def test_of_a_crontab_only_what_runs_at_boot_counts() -> None:
    crontab = "SHELL=/bin/sh\n*/5 * * * * root cp a /opt/agnes/.env\n  @reboot root cp a /opt/agnes/.env\n"
    assert lines_that_write(at_boot(crontab)) == [3]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], "the boot script that logs to /x"),
        ([3], "/x (line 3)"),
        ([3, 4], "/x (lines 3, 4)"),
    ],
)
def test_say(lines: list[int], expected: str) -> None:
    assert say({"path": "/x", "lines": lines}) == expected
