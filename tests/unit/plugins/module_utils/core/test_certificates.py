# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.compose.certificates import (
    NONE_PLACED,
    fingerprint,
    has_pair,
    site_of,
    source_of,
    text_trouble,
)
from ansible_collections.agnes.host.plugins.module_utils.core.host.plan import make_plan

from .hosts import certificates, env, flat_host, host

CERTIFICATE = "-----BEGIN CERTIFICATE-----\nTUlJ\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN PRIVATE KEY-----\nTUlJ\n-----END PRIVATE KEY-----\n"
EC = "-----BEGIN EC PARAMETERS-----\nBggq\n-----END EC PARAMETERS-----\n" + KEY.replace(
    "PRIV", "EC PRIV"
)
LOCKED = KEY.replace("PRIVATE", "ENCRYPTED PRIVATE")
OLD_LOCKED = KEY.replace("\nTU", "\nProc-Type: 4,ENCRYPTED\n\nTU")

TEST_TEXTS: list[tuple[str, str, str]] = [
    (CERTIFICATE, KEY, ""),
    (f"leaf\n{CERTIFICATE}{CERTIFICATE}", EC, ""),
    (CERTIFICATE.replace("\n", "\r\n"), KEY.replace("\n", "\r\n"), ""),
    (CERTIFICATE, "", "state_layout_tls_privkey is not set, and one without the other can't be served"),
    ("", KEY, "state_layout_tls_fullchain is not set, and one without the other can't be served"),
    (KEY, KEY, "state_layout_tls_fullchain has no certificate in PEM"),
    (CERTIFICATE.replace("TUlJ", "T*lJ"), KEY, "state_layout_tls_fullchain has no certificate in PEM"),
    (CERTIFICATE[:-9], KEY, "state_layout_tls_fullchain has no certificate in PEM"),
    (CERTIFICATE, CERTIFICATE, "state_layout_tls_privkey has no private key in PEM"),
    (CERTIFICATE, "/etc/ssl/key.pem", "state_layout_tls_privkey has no private key in PEM"),
    (CERTIFICATE, LOCKED, "state_layout_tls_privkey is encrypted, and Caddy knows no passphrase"),
    (CERTIFICATE, OLD_LOCKED, "state_layout_tls_privkey is encrypted, and Caddy knows no passphrase"),
]  # fmt: skip


@pytest.mark.parametrize(("certificate", "key", "trouble"), TEST_TEXTS)
def test_text_trouble(certificate: str, key: str, trouble: str) -> None:
    assert text_trouble(certificate, key) == trouble


def test_the_fingerprint_is_that_of_the_first_certificate_however_it_is_written() -> None:
    other = CERTIFICATE.replace("TUlJ", "TUlK")
    assert fingerprint(f"text\n{CERTIFICATE}{other}") == fingerprint(
        CERTIFICATE.replace("\n", "\r\n")
    )
    assert fingerprint(CERTIFICATE) != fingerprint(other)
    assert fingerprint("") == fingerprint(KEY) == ""


PRODUCT = "{$DOMAIN:localhost} {\n\t{$CADDY_TLS:tls /certs/fullchain.pem /certs/privkey.pem} {\n"
DEMO = "https://{$DOMAIN} {\n\ttls /certs/fullchain.pem /certs/privkey.pem\n"

TEST_SOURCE: list[tuple[str, str, str]] = [
    (PRODUCT, "", "files"),
    (PRODUCT, "tls internal", "other"),
    (DEMO, "", "files"),
    (DEMO, "tls internal", "files"),
    ("agnes.example.org {\n\treverse_proxy app:8000\n}\n", "", "other"),
    ("", "", "other"),
]


@pytest.mark.parametrize(("caddyfile", "caddy_tls", "source"), TEST_SOURCE)
def test_source_of(caddyfile: str, caddy_tls: str, source: str) -> None:
    assert source_of(caddyfile, caddy_tls) == source


TEST_SITE: list[tuple[str, str]] = [
    ("agnes.test", "agnes.test"),
    ("", "localhost"),
    ("a.test, b.test", "a.test"),
    ("a.test b.test", "a.test"),
    ("https://a.test:8443", "a.test"),
    ("a.test:443", "a.test"),
    # A site of all names: Caddy serves any of them.
    (":443", "localhost"),
    ("https://:443", "localhost"),
]


@pytest.mark.parametrize(("domain", "site"), TEST_SITE)
def test_site_of(domain: str, site: str) -> None:
    assert site_of(domain) == site


TEST_PAIR: list[tuple[dict[str, int], bool]] = [
    ({"privkey.pem": 1, "fullchain.pem": 1}, True),
    ({"privkey.pem": 1, "fullchain.pem": 0}, False),
    ({"fullchain.pem": 1}, False),
    ({}, False),
]


@pytest.mark.parametrize(("files", "pair"), TEST_PAIR)
def test_has_pair(files: dict[str, int], pair: bool) -> None:
    assert has_pair(files) is pair


def placed(**differs: Any) -> dict[str, Any]:
    """A pair in STATE_DIR of flat."""
    return {"placed": {"/data-state": {**NONE_PLACED, "found": "found", **differs}}}


TLS = {"profiles": ["tls"]}
END = "Jan  1 00:00:00 2020 GMT"
EXPIRED = f"the certificate in /data-state/certs has expired ({END})"
UNMOUNTED = flat_host(
    mounts=flat_host()["mounts"][:1],
    state=host()["state"],
    record={"format": 1, "disks": {"state": {"uuid": "u-state", "phase": "formatted"}}},
    certificates=certificates(),
)

TEST_PLANNED: list[Any] = [
    pytest.param(flat_host(), {}, "", [], id="no-tls"),
    pytest.param(flat_host(), TLS, "AH057", [], id="tls-without-a-certificate"),
    pytest.param(host(), {**TLS, "layout": "flat"}, "AH057", [], id="fresh"),
    pytest.param(flat_host(certificates=certificates(given=True)), TLS, "", [], id="given"),
    pytest.param(flat_host(certificates=certificates(**placed())), TLS, "", [], id="placed"),
    pytest.param(flat_host(), {**TLS, "caddy_tls": "tls internal"}, "", [], id="caddys-own"),
    pytest.param(
        flat_host(env=env(STATE_DIR="/data-state", CADDY_TLS="tls internal")), TLS, "", [], id="in-env"
    ),
    pytest.param(flat_host(certificates=certificates(rotated=True)), TLS, "", [], id="rotated"),
    pytest.param(flat_host(certificates=certificates(caddyfile="other")), TLS, "", [], id="other-file"),
    pytest.param(
        flat_host(certificates=certificates(**placed(found="unknown"))), TLS, "",
        ["it is not known yet whether /data-state/certs has the certificate that profile tls "
         "needs"],
        id="unknown",
    ),
    pytest.param(
        UNMOUNTED, {**TLS, "layout": "flat"}, "",
        ["it is not known yet whether /data-state/certs has the certificate that profile tls "
         "needs"],
        id="not-mounted-yet",
    ),
    pytest.param(
        flat_host(certificates=certificates(given=True, trouble="no", **placed())), {}, "AH058", [],
        id="given-and-bad",
    ),
    pytest.param(
        flat_host(certificates=certificates(given=True, trouble="it has expired", **placed(same=True, until=END, expired=True))),
        TLS, "", [EXPIRED], id="the-one-that-is-there-has-expired",
    ),
    pytest.param(
        flat_host(certificates=certificates(given=True, trouble="it has expired", **placed(until=END, expired=True))),
        TLS, "AH058", [], id="another-that-has-expired",
    ),
    pytest.param(
        flat_host(certificates=certificates(**placed(until=END, expired=True))), TLS, "", [EXPIRED],
        id="placed-and-expired",
    ),
    pytest.param(
        flat_host(certificates=certificates(given=True, rotated=True, **placed())), TLS, "",
        ["the inventory and the rotation on the host (TLS_FULLCHAIN_URL) both place the certificate: "
         "take one of them out"],
        id="two-that-place-it",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("observed", "request_", "code", "notes"), TEST_PLANNED)
def test_what_the_plan_says_of_certificates(
    observed: Any, request_: dict[str, Any], code: str, notes: list[str]
) -> None:
    plan = make_plan(observed, request_)
    assert plan["code"] == code, plan["refusal"]
    assert [each for each in plan.get("notes", []) if "certificate" in each] == notes
