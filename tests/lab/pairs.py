# SPDX-License-Identifier: GPL-3.0-or-later
"""Pairs of a TLS certificate and its key, made by the openssl command."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import NamedTuple


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
