# SPDX-License-Identifier: GPL-3.0-or-later
"""The TLS certificate and its key on the host: looked at by descriptor, placed as a pair."""

from __future__ import annotations

import hashlib
import os
import re
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from ...core.compose.certificates import (
    CHAIN_FILE,
    INVENTORY,
    KEY_FILE,
    NONE_PLACED,
    Certificates,
    Placed,
    fingerprint,
    has_pair,
    source_of,
    text_trouble,
)
from ...core.compose.secret_errors import CertificateUnusable
from ...core.copy.retired import REPLACED
from ...core.layout.layouts import CERTIFICATES, state_dirs
from ...core.layout.tree import Entry
from ..host import durable
from ..host.actions import Actions
from ..host.commands import Failed, run, which
from ..layout import trees

ROTATIONS = ("/usr/local/bin/agnes-tls-rotate.sh", "/usr/local/sbin/agnes-tls-rotate")
"""The product's rotation, and that of this collection."""
_LIMIT = 1 << 20
_PEM = re.compile(r"-----BEGIN (?P<label>[A-Z0-9 ]+)-----.*?-----END (?P=label)-----", re.DOTALL)
_ADDRESS = re.compile(r"\d+(\.\d+){3}|\[?[0-9A-Fa-f]*:[0-9A-Fa-f:]*\]?")


@contextmanager
def _in_memory(text: str) -> Iterator[str]:
    """The path of a file that is in memory only, for libraries that read no string."""
    fd = os.memfd_create("pem", os.MFD_CLOEXEC)
    try:
        os.write(fd, text.encode("utf-8", "surrogateescape"))
        yield f"/proc/{os.getpid()}/fd/{fd}"
    finally:
        os.close(fd)


def until(certificate: str) -> tuple[str, bool]:
    """When a certificate ends, as OpenSSL writes it, and whether that is past.

    Empty where the openssl command is not there, or can't read it.
    """
    openssl = which("openssl")
    if not openssl:
        return "", False
    with _in_memory(certificate) as path:
        done = run([openssl, "x509", "-in", path, "-noout", "-enddate"], codes=(), seconds=30)
    end = done.out.strip().partition("notAfter=")[2]
    try:
        return end, bool(end) and ssl.cert_time_to_seconds(end) < time.time()
    except ValueError:
        return "", False


def name_trouble(certificate: str, names: Sequence[str]) -> str:
    """Why a certificate can't be served now for the names of a site, for a message; empty when it can.

    Raises Failed where the openssl command is not there, or can't read it.
    """
    with _in_memory(certificate) as path:
        ask = ["openssl", "x509", "-in", path, "-noout"]
        begin = run([*ask, "-startdate"], seconds=30).out.strip().partition("notBefore=")[2]
        if ssl.cert_time_to_seconds(begin) > time.time():
            return f"it is not valid before {begin}"
        for name in names:
            option = "-checkip" if _ADDRESS.fullmatch(name) else "-checkhost"
            # Only newer versions say it by their exit status, too.
            if "does match" not in run([*ask, option, name], codes=(), seconds=30).out:
                return f"it is not for {name}"
    return ""


def make_request(subject: str, names: Sequence[str]) -> tuple[str, str]:
    """A new RSA key, and the request for a certificate with it, both PEM. Raises Failed.

    subject: as ``openssl req -subj`` has it, /CN=...; names: of the sites.
    """
    kinds = [f"{'IP' if _ADDRESS.fullmatch(name) else 'DNS'}:{name}" for name in names]
    said = ["-addext", f"subjectAltName={','.join(kinds)}"] if kinds else []
    ask = ["openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", subject, *said]
    # The key is never in a file but in its place.
    out = run([*ask, "-keyout", "/dev/stdout", "-out", "/dev/stdout"], seconds=60).out
    key, request = (
        "".join(match[0] + "\n" for match in _PEM.finditer(out) if match["label"].endswith(kind))
        for kind in ("PRIVATE KEY", "REQUEST")
    )
    if not key or not request:
        raise Failed("openssl has made no key and request")
    return key, request


def pair_trouble(certificate: str, key: str, names: tuple[str, str] = INVENTORY) -> str:
    """Why a web server could not serve the two PEM texts, for a message; empty when it could.

    names: what the message calls the two.
    """
    trouble = text_trouble(certificate, key, names)
    if trouble:
        return trouble
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        with _in_memory(certificate) as chain_path, _in_memory(key) as key_path:
            # Without a password for it, OpenSSL would ask the terminal.
            context.load_cert_chain(chain_path, key_path, password="")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            return "the key is not the certificate's"
        return f"OpenSSL can't read the pair ({error.reason or 'no PEM'})"
    end, expired = until(certificate)
    return f"it has expired ({end})" if expired else ""


def placed_text(state_dir: str, name: str) -> str:
    """The text of one of the two files in STATE_DIR/certs; raises OSError."""
    folder = os.path.join(state_dir, CERTIFICATES)
    with trees.opened(folder) as directory, durable.opened_file(name, directory) as file:
        return file.read(_LIMIT).decode("utf-8", "replace")


def placed_chain(state_dir: str) -> str:
    """The certificate with its chain in STATE_DIR/certs; raises OSError."""
    return placed_text(state_dir, CHAIN_FILE)


def _sizes(state_dir: str) -> dict[str, int]:
    with trees.opened(os.path.join(state_dir, CERTIFICATES)) as directory:
        names = {KEY_FILE, CHAIN_FILE} & set(os.listdir(directory))
        return {
            name: os.stat(name, dir_fd=directory, follow_symlinks=False).st_size for name in names
        }


def placed(state_dir: str, certificate: str = "") -> Placed:
    """The pair in STATE_DIR/certs; certificate: the one of the inventory."""
    try:
        if not has_pair(_sizes(state_dir)):
            return NONE_PLACED
        chain = placed_chain(state_dir)
    except FileNotFoundError:
        return NONE_PLACED
    except OSError:
        return {**NONE_PLACED, "found": "unknown"}
    end, expired = until(chain)
    same = bool(certificate) and fingerprint(chain) == fingerprint(certificate)
    return {"found": "found", "same": same, "until": end, "expired": expired}


def _source(project_dir: str) -> str:
    try:
        caddyfile = durable.read_text(os.path.join(project_dir, "Caddyfile"))
    except OSError:
        return "unknown"
    return "absent" if caddyfile is None else source_of(caddyfile, "")


def observe(project_dir: str, env: Mapping[str, str], certificate: str, key: str) -> Certificates:
    """What there is of certificates, and whether the pair of the inventory can be served. env: ``.env``."""
    given = bool(certificate or key)
    return {
        "given": given,
        "trouble": pair_trouble(certificate, key) if given else "",
        "caddyfile": _source(project_dir),
        "rotated": bool(env.get("TLS_FULLCHAIN_URL")) and any(map(os.path.exists, ROTATIONS)),
        "placed": {
            path: placed(path, certificate) for path in state_dirs() if not os.path.islink(path)
        },
    }


def _keep_aside(directory: int, entry: Entry) -> None:
    """Keep what others placed: a private key may be the only one that there is."""
    name = os.path.basename(entry.path)
    with durable.opened_file(name, directory) as file:
        content = file.read(_LIMIT)
    kept = f"{REPLACED}{entry.path}.{hashlib.sha256(content).hexdigest()[:12]}"
    durable.make_directory(REPLACED, 0o700)
    durable.make_directory(os.path.dirname(kept), 0o700)
    durable.write(kept, content.decode("utf-8", "surrogateescape"), 0o600)


def _place(key: Entry, chain: Entry, differing: list[Entry]) -> None:
    """Write both beside the old ones, then rename one after the other."""
    with trees.opened(os.path.dirname(key.path)) as directory:
        for entry in differing:
            if trees.difference(entry) != trees.ABSENT:
                _keep_aside(directory, entry)
        renamed = durable.replacing(directory, KEY_FILE), durable.replacing(directory, CHAIN_FILE)
        with renamed[0] as first, renamed[1] as second:
            for fd, entry in ((first, key), (second, chain)):
                content = (entry.content or "").encode()
                durable.fill(fd, content, entry.mode, entry.uid, entry.gid)


def keep_pair(key: Entry, chain: Entry, actions: Actions) -> None:
    """Place the pair unless it is there. Raises CertificateUnusable before anything is replaced."""
    differing = {entry: trees.difference(entry) for entry in (key, chain)}
    changed = [entry for entry, before in differing.items() if before]
    if not changed:
        return
    trouble = pair_trouble(chain.content or "", key.content or "")
    if trouble:
        raise CertificateUnusable(found=trouble)
    for number, entry in enumerate(changed):
        act = None if number else lambda: _place(key, chain, changed)
        actions.take(entry.path, differing[entry], trees.say(entry), act)
