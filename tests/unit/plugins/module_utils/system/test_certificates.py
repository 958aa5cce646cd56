# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import pairs
import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.compose.secret_errors import (
    CertificateUnusable,
)
from ansible_collections.agnes.host.plugins.module_utils.core.layout.tree import Entry
from ansible_collections.agnes.host.plugins.module_utils.system.compose import certificates
from ansible_collections.agnes.host.plugins.module_utils.system.host import durable
from ansible_collections.agnes.host.plugins.module_utils.system.host.actions import Actions

UID, GID = os.getuid(), os.getgid()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> pairs.Pair:
    return pairs.make(tmp_path_factory.mktemp("pair"))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> pairs.Pair:
    return pairs.make(tmp_path_factory.mktemp("other"))


def test_a_pair_and_what_is_none(pair: pairs.Pair, other: pairs.Pair, tmp_path: Path) -> None:
    assert certificates.pair_trouble(*pair) == ""
    assert certificates.pair_trouble(pair.certificate + other.certificate, pair.key) == ""
    assert (
        certificates.pair_trouble(pair.certificate, other.key) == "the key is not the certificate's"
    )
    ended = certificates.pair_trouble(*pairs.expired(tmp_path))
    assert re.fullmatch(r"it has expired \(.* GMT\)", ended)
    odd = pair.certificate.replace("MII", "MIJ", 1)
    assert "OpenSSL can't read the pair" in certificates.pair_trouble(odd, pair.key)


def test_without_the_openssl_command_only_the_date_is_not_known(
    pair: pairs.Pair, other: pairs.Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificates, "which", lambda program: None)
    assert certificates.pair_trouble(*pair) == ""
    assert certificates.pair_trouble(*pairs.expired(tmp_path)) == ""
    assert (
        certificates.pair_trouble(pair.certificate, other.key) == "the key is not the certificate's"
    )


def entries(folder: Path, pair: pairs.Pair) -> tuple[Entry, Entry]:
    folder.mkdir(exist_ok=True)
    return (
        Entry(f"{folder}/privkey.pem", "file", UID, GID, 0o600, content=pair.key),
        Entry(f"{folder}/fullchain.pem", "file", UID, GID, 0o644, content=pair.certificate),
    )


def keep(folder: Path, pair: pairs.Pair, check: bool = False) -> list[dict[str, str]]:
    actions = Actions(check)
    certificates.keep_pair(*entries(folder, pair), actions)
    return actions.items


def read(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def names(pair: pairs.Pair) -> dict[str, str]:
    return {"privkey.pem": pair.key, "fullchain.pem": pair.certificate}


@pytest.fixture
def aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(certificates, "REPLACED", f"{tmp_path}/aside")
    return tmp_path / "aside"


def test_a_pair_is_placed_as_announced_and_what_was_there_is_kept(
    pair: pairs.Pair, other: pairs.Pair, tmp_path: Path, aside: Path
) -> None:
    certs = tmp_path / "certs"
    assert keep(certs, pair, check=True) == keep(certs, pair)
    assert (certs / "privkey.pem").stat().st_mode & 0o7777 == 0o600
    assert keep(certs, pair) == []
    announced = keep(certs, other, check=True)
    assert read(certs) == names(pair)
    assert keep(certs, other) == announced
    assert [item["before"] for item in announced] == ["other content", "other content"]
    assert read(certs) == names(other)
    kept = {path.name.rpartition(".")[0]: path for path in aside.rglob("*.pem.*")}
    assert {name: path.read_text() for name, path in kept.items()} == names(pair)
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in kept.values())
    assert stat.S_IMODE(aside.stat().st_mode) == 0o700


@pytest.mark.parametrize("check", [True, False])
def test_what_is_no_pair_replaces_nothing(
    pair: pairs.Pair, other: pairs.Pair, tmp_path: Path, aside: Path, check: bool
) -> None:
    certs = tmp_path / "certs"
    keep(certs, pair)
    with pytest.raises(CertificateUnusable):
        keep(certs, pairs.Pair(other.certificate, pair.key), check)
    assert read(certs) == names(pair)
    assert not aside.exists()


def test_an_error_before_the_first_rename_leaves_the_old_pair(
    pair: pairs.Pair,
    other: pairs.Pair,
    tmp_path: Path,
    aside: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    certs = tmp_path / "certs"
    keep(certs, pair)

    def full(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(durable, "fill", full)
    with pytest.raises(OSError, match="no space"):
        keep(certs, other)
    monkeypatch.undo()
    assert read(certs) == names(pair)


def test_what_is_observed(
    pair: pairs.Pair, other: pairs.Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path / "state"
    (state / "certs").mkdir(parents=True)
    (tmp_path / "none").mkdir()
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "certs").symlink_to(state / "certs")
    places = [str(state), f"{tmp_path}/none", f"{tmp_path}/linked"]
    monkeypatch.setattr(certificates, "state_dirs", lambda: places)
    assert (
        certificates.observe(str(tmp_path), {}, "", "")["placed"][str(state)]["found"] == "absent"
    )
    keep(state / "certs", pair)
    seen = certificates.observe(str(tmp_path), {}, *pair)
    assert (seen["given"], seen["trouble"], seen["caddyfile"]) == (True, "", "absent")
    assert [seen["placed"][path]["found"] for path in places] == ["found", "absent", "unknown"]
    assert seen["placed"][str(state)]["same"]
    assert seen["placed"][str(state)]["until"].endswith("GMT")
    assert pair.key.splitlines()[1] not in repr(seen)
    (tmp_path / "Caddyfile").write_text("tls /certs/fullchain.pem /certs/privkey.pem\n")
    seen = certificates.observe(str(tmp_path), {}, *other)
    assert (seen["placed"][str(state)]["same"], seen["caddyfile"]) == (False, "files")
    (state / "certs" / "privkey.pem").write_text("")
    assert certificates.observe(str(tmp_path), {}, *pair)["placed"][str(state)]["found"] == "absent"
