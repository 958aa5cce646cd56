#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A certificate authority of the lab and a certificate for one domain, kept in the cache.

    certs.py DOMAIN     -> tls/ca.crt, tls/DOMAIN.crt (leaf and authority), tls/DOMAIN.key
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from pathlib import Path

from common import cache, lock, run, say, script, succeeds

DAYS = "800"
MARGIN = str(30 * 86400)  # seconds; made anew if it ends sooner


def valid(folder: Path, domain: str) -> bool:
    """Whether what is there can be used."""
    leaf, authority = folder / f"{domain}.crt", folder / "ca.crt"
    if not all(path.exists() for path in (leaf, authority, folder / f"{domain}.key")):
        return False
    chain = ["openssl", "verify", "-CAfile", str(authority), str(leaf)]
    end = ["openssl", "x509", "-checkend", MARGIN, "-noout", "-in", str(leaf)]
    return succeeds(chain) and succeeds(end)


def make(folder: Path, domain: str) -> None:
    """Both certificates, in an empty directory."""
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    ca, leaf = str(folder / "ca"), str(folder / domain)
    request = ["openssl", "req", *key]
    extensions = folder / "leaf.ext"
    extensions.write_text(
        f"basicConstraints=critical,CA:FALSE\nsubjectAltName=DNS:{domain}\n"
        "keyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\n"
    )
    authority = ["-x509", "-days", DAYS, "-subj", "/CN=Agnes lab authority"]
    run([*request, *authority, "-keyout", f"{ca}.key", "-out", f"{ca}.crt"])
    run([*request, "-subj", f"/CN={domain}", "-keyout", f"{leaf}.key", "-out", f"{leaf}.csr"])
    sign = ["openssl", "x509", "-req", "-in", f"{leaf}.csr", "-days", DAYS]
    sign += ["-CA", f"{ca}.crt", "-CAkey", f"{ca}.key", "-CAcreateserial"]
    run([*sign, "-extfile", str(extensions), "-out", f"{leaf}.crt"])
    chain = Path(f"{leaf}.crt")
    chain.write_text(chain.read_text() + Path(f"{ca}.crt").read_text())


def ensure(domain: str) -> None:
    """Make them unless they are there."""
    folder = cache() / "tls"
    with lock("tls"):
        if valid(folder, domain):
            return
        os.umask(0o077)
        with tempfile.TemporaryDirectory(prefix="tls-", dir=cache()) as scratch:
            fresh = Path(scratch) / "tls"
            fresh.mkdir()
            make(fresh, domain)
            shutil.rmtree(folder, ignore_errors=True)
            fresh.rename(folder)
    say(f"certificate of {domain}: made")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Make the lab's certificates.")
    parser.add_argument("domain")
    ensure(parser.parse_args().domain)


if __name__ == "__main__":
    script(main)
