# SPDX-License-Identifier: GPL-3.0-or-later
"""Refusals of the host's own tools, which run between two runs of the playbook; see errors.py."""

from __future__ import annotations

from .errors import Refusal


class SourceUnknown(Refusal):
    code = "AH170"
    sentence = (
        "{key} in {env_path} is '{source}', and certificates are fetched from https:// and file:// only; name "
        "such a source there, or clear TLS_FULLCHAIN_URL and place the certificate yourself"
    )


class SourceFailed(Refusal):
    code = "AH171"
    sentence = (
        "{key} gives nothing that can be used ({source}: {found}); the certificate in {path} stays as it is; "
        "correct the source, then 'systemctl start agnes-tls-rotate'"
    )


class FetchedUnusable(Refusal):
    code = "AH172"
    sentence = (
        "the certificate from {source} can't be used: {found}; the one in {path} stays as it is; correct the "
        "source, then 'systemctl start agnes-tls-rotate'"
    )


class NotPlaced(Refusal):
    code = "AH173"
    sentence = (
        "the certificate from {source} can't be written to {path} ({found}); the one there stays as it is; "
        "correct that, then 'systemctl start agnes-tls-rotate'"
    )


class HostDiskAway(Refusal):
    code = "AH174"
    sentence = (
        "this host's {role} disk (UUID {uuid}) is not mounted at {path} ({found}), so nothing was started or "
        "written there; see 'agnes-host explain' for how to bring it back, then run this again"
    )


class NotThisLayout(Refusal):
    code = "AH175"
    sentence = (
        "STATE_DIR is '{state_dir}' by {env_path}, and this host's record has {found}, so nothing was started or "
        "written; find out what changed {env_path}, then run site.yml"
    )
