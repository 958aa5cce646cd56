# SPDX-License-Identifier: GPL-3.0-or-later
"""Pairs of a TLS certificate and its key, made by the openssl command."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any, NamedTuple


class Pair(NamedTuple):
    """Both as PEM texts."""

    certificate: str
    key: str


def make(folder: Path, name: str = "agnes.test", days: int = 30, cipher: str = "") -> Pair:
    """A self-signed pair for ``name`` that ends in ``days``; cipher: the key is encrypted with it."""
    secret = ["-passout", "pass:secret", f"-{cipher}"] if cipher else ["-nodes"]
    command = [
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
        "-keyout", "k.pem", "-out", "c.pem", "-days", str(days), "-subj", f"/CN={name}",
        "-addext", f"subjectAltName=DNS:{name}",
    ]  # fmt: skip
    subprocess.run([*command, *secret], cwd=folder, check=True, capture_output=True)
    return Pair((folder / "c.pem").read_text(), (folder / "k.pem").read_text())


def expired(folder: Path) -> Pair:
    """A pair whose certificate ended in 2020."""
    made = make(folder)
    command = [
        "openssl", "x509", "-in", "c.pem", "-signkey", "k.pem", "-days", "-1", "-out", "e.pem",
    ]  # fmt: skip
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return Pair((folder / "e.pem").read_text(), made.key)


def fingerprint(pair: Pair) -> str:
    """Of the certificate, as openssl prints it."""
    done = subprocess.run(
        ["openssl", "x509", "-noout", "-fingerprint", "-sha256"],
        input=pair.certificate, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()


def served(host: Any) -> str:
    """Of the certificate that Caddy serves on a test host, likewise."""
    ask = "openssl s_client -connect 127.0.0.1:443 -servername agnes.test </dev/null 2>/dev/null"
    return str(host.check_output(f"{ask} | openssl x509 -noout -fingerprint -sha256"))
