# SPDX-License-Identifier: GPL-3.0-or-later
"""Refusals about secrets and certificates; see errors.py."""

from __future__ import annotations

from ..host.errors import Refusal


class SecretUnusable(Refusal):
    code = "AH017"
    sentence = (
        "the secret in '{path}' can't be copied into .env as {key} ({found}), and a new secret would break what "
        "uses the old one; write the secret there as one plain line, or move the file aside"
    )


class NoCertificate(Refusal):
    code = "AH057"
    sentence = (
        "profile tls starts Caddy, which needs a certificate, and {path} has none; set state_layout_tls_fullchain "
        "and state_layout_tls_privkey, or CADDY_TLS in agnes_compose_env ('tls internal', or 'tls EMAIL' to have "
        "one issued), or take tls out of agnes_compose_profiles"
    )


class CertificateUnusable(Refusal):
    code = "AH058"
    sentence = (
        "the certificate of the inventory can't be served: {found}; correct state_layout_tls_fullchain and "
        "state_layout_tls_privkey"
    )


class VaultKeyContradicts(Refusal):
    code = "AH059"
    sentence = (
        "AGNES_VAULT_KEY for {env_path} and the file '{path}' have different keys, and only one of them opens what "
        "the vault stores; find out which one as AH059 in docs/errors.md shows, then write it to both places"
    )
