# SPDX-License-Identifier: GPL-3.0-or-later
"""A rotation: what is placed, what stays, and who waits for whom."""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pairs
import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.host.host_tool_errors import (
    FetchedUnusable,
    SourceFailed,
)
from ansible_collections.agnes.host.plugins.module_utils.core.layout import tree
from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import Layout
from ansible_collections.agnes.host.plugins.module_utils.core.layout.tree import Entry
from ansible_collections.agnes.host.plugins.module_utils.host_tools import rotate, turn
from ansible_collections.agnes.host.plugins.module_utils.system.compose import certificates

UID, GID = os.getuid(), os.getgid()


class Rotation:
    """A host of one directory, on which rotations run."""

    def __init__(self, top: Path) -> None:
        self.top, self.said = top, [""]
        self.certs = top / "state" / "certs"
        (top / "state").mkdir()
        (top / "agnes").mkdir()
        self.env({})

    def env(self, values: dict[str, str]) -> None:
        text = "".join(f"{key}={value}\n" for key, value in values.items())
        (self.top / "agnes" / ".env").write_text(text)

    def publish(self, pair: pairs.Pair, key: bool = True, domain: str = "agnes.test") -> None:
        """Let the source have a pair."""
        (self.top / "new.pem").write_text(pair.certificate)
        (self.top / "new.key").write_text(pair.key)
        values = {"TLS_FULLCHAIN_URL": f"file://{self.top}/new.pem", "DOMAIN": domain}
        self.env({**values, **({"TLS_PRIVKEY_URL": f"file://{self.top}/new.key"} if key else {})})

    def run(self, seconds: float = 0.0) -> list[str]:
        self.said = []
        rotate.rotate(self.said.append, f"{self.top}/agnes", seconds, f"{self.top}/lock")
        return self.said

    def placed(self) -> pairs.Pair:
        return pairs.Pair(
            (self.certs / "fullchain.pem").read_text(), (self.certs / "privkey.pem").read_text()
        )


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rotation:
    layout = Layout("odd", {"data": str(tmp_path)}, str(tmp_path / "state"), "odd.yml")
    wanted = tree.wanted_tree

    def mine(*arguments: Any) -> list[Entry]:
        entries = wanted(*arguments)
        return [Entry(**{**each.as_dict(), "uid": UID, "gid": GID}) for each in entries]

    monkeypatch.setattr(rotate, "layout_here", lambda env, project_dir: layout)
    monkeypatch.setattr(rotate, "wanted_tree", mine)
    monkeypatch.setattr(rotate, "_serve", lambda *arguments: "Caddy serves it")
    monkeypatch.setattr(certificates, "REPLACED", str(tmp_path / "replaced"))
    monkeypatch.setattr(turn.ledger, "INTENT", str(tmp_path / "intent.json"))
    return Rotation(tmp_path)


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., pairs.Pair]:
    return lambda *arguments: pairs.make(tmp_path_factory.mktemp("pair"), *arguments)


def test_a_pair_is_placed_kept_and_replaced(
    host: Rotation, make: Callable[..., pairs.Pair]
) -> None:
    first, second = make(), make()
    host.publish(first)
    assert host.run() == [
        f"placed {host.certs}/privkey.pem, {host.certs}/fullchain.pem from file://{host.top}/new.pem",
        "Caddy serves it",
    ]
    assert host.placed() == first
    assert (host.certs / "privkey.pem").stat().st_mode & 0o777 == 0o600
    assert host.certs.stat().st_mode & 0o777 == 0o700
    # Served or not is asked each time: a reload may have been cut off the last time.
    assert host.run()[0].endswith(f"has the certificate of file://{host.top}/new.pem already")
    host.publish(second)
    host.run()
    assert host.placed() == second
    assert len(list((host.top / "replaced").rglob("privkey.pem.*"))) == 1


def test_without_a_source_of_the_key_the_placed_one_is_the_key(
    host: Rotation, make: Callable[..., pairs.Pair]
) -> None:
    pair = make()
    host.publish(pair)
    host.run()
    host.publish(make(), key=False)
    with pytest.raises(FetchedUnusable, match="the key is not the certificate's"):
        host.run()
    assert host.placed() == pair


BAD: list[tuple[str, Callable[[Rotation, Callable[..., pairs.Pair]], None], str]] = [
    ("empty", lambda host, make: (host.top / "new.pem").write_text("\n") and None, "it is empty"),
    (
        "html",
        lambda host, make: (host.top / "new.pem").write_text("<html>log in</html>") and None,
        "it has no certificate in PEM",
    ),
    ("expired", lambda host, make: host.publish(pairs.expired(host.top)), "it has expired"),
    (
        "other name",
        lambda host, make: host.publish(make("other.test")),
        "it is not for agnes.test",
    ),
    (
        "other key",
        lambda host, make: host.publish(pairs.Pair(make().certificate, make().key)),
        "the key is not the certificate's",
    ),
    (
        "second name",
        lambda host, make: host.publish(make(), domain="https://agnes.test:443, 127.0.0.1"),
        "it is not for 127.0.0.1",
    ),
]


@pytest.mark.parametrize(("kind", "spoil", "reason"), BAD, ids=[each[0] for each in BAD])
def test_what_is_bad_replaces_nothing(
    kind: str, spoil: Any, reason: str, host: Rotation, make: Callable[..., pairs.Pair]
) -> None:
    pair = make()
    host.publish(pair)
    host.run()
    spoil(host, make)
    with pytest.raises((FetchedUnusable, SourceFailed), match=reason):
        host.run()
    assert host.placed() == pair


def test_one_that_is_not_valid_yet(
    host: Rotation, make: Callable[..., pairs.Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    host.publish(make())
    monkeypatch.setattr(certificates.time, "time", lambda: 1e9)
    with pytest.raises(FetchedUnusable, match=r"it is not valid before .* GMT"):
        host.run()


def test_another_one_at_work_is_waited_for_and_then_named(
    host: Rotation, make: Callable[..., pairs.Pair]
) -> None:
    host.publish(make())
    with (host.top / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(turn.NotNow, match=r"another upgrade, rotation or move is at work"):
            host.run()
    assert not host.certs.exists()


def test_a_move_that_is_not_ended_comes_first(
    host: Rotation, make: Callable[..., pairs.Pair]
) -> None:
    host.publish(make())
    (host.top / "intent.json").write_text("{}")
    with pytest.raises(turn.NotNow, match="a move of the state is not ended"):
        host.run()
    assert not host.certs.exists()


def test_a_key_that_is_made_here_waits_for_its_certificate(
    host: Rotation, make: Callable[..., pairs.Pair]
) -> None:
    source = host.top / "new.pem"
    values = {"TLS_FULLCHAIN_URL": f"file://{source}", "DOMAIN": "agnes.test, 10.0.0.1"}
    host.env({**values, "TLS_CSR_SUBJECT": "/O=Agnes/CN=agnes.test"})
    with pytest.raises(SourceFailed, match="No such file"):
        host.run()
    assert host.said == [
        f"made a key, and {host.certs}/cert.csr: have it signed, and published at TLS_FULLCHAIN_URL"
    ]
    key = (host.certs / "privkey.pem").read_text()
    assert (host.certs / "privkey.pem").stat().st_mode & 0o777 == 0o600
    signed = subprocess.run(
        ["openssl", "x509", "-req", "-in", f"{host.certs}/cert.csr", "-copy_extensions", "copyall",
         "-signkey", f"{host.certs}/privkey.pem", "-days", "9", "-out", f"{source}"],
        check=True, capture_output=True,
    )  # fmt: skip
    assert signed.returncode == 0
    host.run()
    assert host.placed() == pairs.Pair(source.read_text(), key)


def test_without_a_source_nothing_is_done(host: Rotation) -> None:
    (said,) = host.run()
    assert "TLS_FULLCHAIN_URL is empty" in said
