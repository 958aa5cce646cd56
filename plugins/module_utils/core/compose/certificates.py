# SPDX-License-Identifier: GPL-3.0-or-later
"""The TLS certificate and its key: which texts are a pair, and who needs one. No I/O."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from typing import TypedDict

from .chain import TLS_PROFILE
from .secret_errors import CertificateUnusable, NoCertificate

KEY_FILE, CHAIN_FILE = "privkey.pem", "fullchain.pem"
"""Their names in STATE_DIR/certs, which the product's rotation and Caddyfile have, too."""

_BLOCK = re.compile(
    r"-----BEGIN (?P<label>[A-Z0-9 ]+)-----(?P<body>.*?)-----END (?P=label)-----", re.DOTALL
)
_SHOWN = 16
"""Hex digits of a fingerprint that people are shown."""


class Placed(TypedDict):
    """The pair in STATE_DIR/certs."""

    found: str
    """found, absent (one that lacks a file or is empty, too) or unknown."""
    same: bool
    """Whether its certificate is the one that the inventory gives."""
    until: str
    """When its certificate ends, as OpenSSL writes it; empty where that is not known."""
    expired: bool


class Certificates(TypedDict):
    """What there is of certificates."""

    given: bool
    """Whether the inventory has one."""
    trouble: str
    """Why Caddy could not serve what the inventory has, for a message."""
    caddyfile: str
    """Where the project's Caddyfile takes its certificate from: files, other, absent or unknown."""
    rotated: bool
    """Whether a rotation is set up: TLS_FULLCHAIN_URL, and the product's script or our tool."""
    placed: dict[str, Placed]
    """STATE_DIR -> the pair there."""


NONE_PLACED: Placed = {"found": "absent", "same": False, "until": "", "expired": False}


def _blocks(pem: str) -> list[tuple[str, bytes]]:
    blocks = []
    for match in _BLOCK.finditer(pem):
        try:
            content = base64.b64decode("".join(match["body"].split()), validate=True)
        except ValueError:
            content = b""
        blocks.append((match["label"], content))
    return blocks


def fingerprint(pem: str) -> str:
    """SHA-256 of the first certificate in ``pem``, in hex; empty where there is none."""
    ders = [content for label, content in _blocks(pem) if label == "CERTIFICATE"]
    return hashlib.sha256(ders[0]).hexdigest() if ders and ders[0] else ""


def say_fingerprint(digest: str) -> str:
    """For people."""
    return f"sha256:{digest[:_SHOWN]}" if digest else "none"


INVENTORY = ("state_layout_tls_fullchain", "state_layout_tls_privkey")
"""The variables of the pair, for messages."""


def text_trouble(certificate: str, key: str, names: tuple[str, str] = INVENTORY) -> str:
    """What is wrong with two PEM texts before any library reads them, for a message.

    names: what the message calls the two.
    """
    chain_name, key_name = names
    if not certificate or not key:
        lacking = key_name if certificate else chain_name
        return f"{lacking} is not set, and one without the other can't be served"
    if not fingerprint(certificate):
        return f"{chain_name} has no certificate in PEM"
    labels = [label for label, content in _blocks(key) if label.endswith("PRIVATE KEY") and content]
    if "ENCRYPTED" in key:
        return f"{key_name} is encrypted, and Caddy knows no passphrase"
    return "" if labels else f"{key_name} has no private key in PEM"


def source_of(caddyfile: str, caddy_tls: str) -> str:
    """Where a Caddyfile takes its certificate from: ``files``, or ``other`` (Caddy's own).

    caddy_tls: CADDY_TLS of ``.env``, which the product's Caddyfile takes in place of the files.
    """
    if f"/certs/{CHAIN_FILE}" not in caddyfile:
        return "other"
    return "other" if caddy_tls and "{$CADDY_TLS" in caddyfile else "files"


def sites_of(domain: str) -> list[str]:
    """The names of the sites in DOMAIN, without scheme, port and path."""
    names = []
    for site in re.split(r"[\s,]+", domain.strip()):
        name = site.partition("://")[2] if "://" in site else site
        names.append(re.split(r"[:/]", name)[0])
    return [name for name in names if name]


def site_of(domain: str) -> str:
    """The name to ask Caddy for: the first site of DOMAIN."""
    return next(iter(sites_of(domain)), "localhost")


def check_certificate(
    given: Certificates, placed: Placed, profiles: list[str], caddy_tls: str, path: str
) -> list[str]:
    """Notes about the certificate that Caddy is to serve.

    placed: the pair in STATE_DIR, unknown while its disk is not mounted; caddy_tls: CADDY_TLS as
    it will be; path: STATE_DIR/certs. Raises CertificateUnusable and NoCertificate.
    """
    notes = []
    if given["given"] and given["trouble"] and not (placed["same"] and placed["expired"]):
        raise CertificateUnusable(found=given["trouble"])
    if placed["expired"] and (placed["same"] or not given["given"]):
        notes.append(f"the certificate in {path} has expired ({placed['until']})")
    if given["given"] and given["rotated"]:
        notes.append(
            "the inventory and the rotation on the host (TLS_FULLCHAIN_URL) both place the certificate: "
            "take one of them out"
        )
    needs = TLS_PROFILE in profiles and not given["given"]
    if not needs or given["caddyfile"] in ("other", "unknown") or caddy_tls or given["rotated"]:
        return notes
    if placed["found"] == "absent":
        raise NoCertificate(path=path)
    if placed["found"] == "unknown":
        notes.append(
            f"it is not known yet whether {path} has the certificate that profile tls needs"
        )
    return notes


def has_pair(files: Mapping[str, int]) -> bool:
    """Whether names with their sizes in bytes are those of a pair."""
    return all(files.get(name, 0) > 0 for name in (KEY_FILE, CHAIN_FILE))
