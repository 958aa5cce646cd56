# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts whose secrets or certificates are refused: the class, the host, the request, the sentence."""

from __future__ import annotations

from typing import Any

from ansible_collections.agnes.host.plugins.module_utils.core.compose import secret_errors

from .hosts import certificates, flat_host, secrets

KEPT: list[tuple[Any, ...]] = [
    (
        secret_errors.SecretUnusable,
        flat_host(secrets=secrets(JWT_SECRET_KEY=("unknown", "it is no regular file", None))), {},
        "AH017: the secret in '/data-state/.jwt_secret' can't be copied into .env as "
        "JWT_SECRET_KEY (it is no regular file), and a new secret would break what uses the old "
        "one; write the secret there as one plain line, or move the file aside",
    ),
    (
        secret_errors.NoCertificate, flat_host(), {"profiles": ["full", "tls"]},
        "AH057: profile tls starts Caddy, which needs a certificate, and /data-state/certs has none; set "
        "state_layout_tls_fullchain and state_layout_tls_privkey, or CADDY_TLS in agnes_compose_env "
        "('tls internal', or 'tls EMAIL' to have one issued), or take tls out of agnes_compose_profiles",
    ),
    (
        secret_errors.CertificateUnusable,
        flat_host(certificates=certificates(given=True, trouble="the key is not the certificate's")), {},
        "AH058: the certificate of the inventory can't be served: the key is not the certificate's; "
        "correct state_layout_tls_fullchain and state_layout_tls_privkey",
    ),
    (
        secret_errors.VaultKeyContradicts,
        flat_host(secrets=secrets("AGNES_VAULT_KEY", AGNES_VAULT_KEY=("found", "", False))), {},
        "AH059: AGNES_VAULT_KEY for /opt/agnes/.env and the file '/data-state/agnes-vault.key' "
        "have different keys, and only one of them opens what the vault stores; find out which "
        "one as AH059 in docs/errors.md shows, then write it to both places",
    ),
]  # fmt: skip
