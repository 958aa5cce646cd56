# SPDX-License-Identifier: GPL-3.0-or-later
"""Refusals about secrets and certificates; see errors.py."""

from __future__ import annotations

from .errors import Refusal


class SecretUnusable(Refusal):
    code = "AH017"
    sentence = (
        "'{path}' can't be taken into .env as {key} ({found}), and a new one would make the old one worthless; "
        "put the secret there as one plain line, or move the file aside"
    )


class VaultKeyContradicts(Refusal):
    code = "AH059"
    sentence = (
        "AGNES_VAULT_KEY for {env_path} and '{path}' are two different keys, and only one opens what the vault "
        "stores; find out which one (the product's startup takes the file), then make them agree"
    )
