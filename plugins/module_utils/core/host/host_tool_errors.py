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
        "STATE_DIR in {env_path} is '{state_dir}', and this host's record has {found}, so nothing was started or "
        "written; find out what changed {env_path}, then run site.yml; if the record is lost and Docker is held back, "
        "'agnes-host rebind --data UUID --state UUID --because new-boot-disk' writes it anew"
    )


class UpgradeGoneBack(Refusal):
    code = "AH176"
    sentence = (
        "the new image does not come up ({found}), so the one before it runs again: {images}; it is not tried "
        "again until another one is published, or 'agnes-auto-upgrade --again' is run"
    )


class UpgradeNoWayBack(Refusal):
    code = "AH177"
    sentence = (
        "the new image does not come up ({found}), and the one before it is not started, because {why}: {images}; "
        "see AH177 in docs/errors.md for the two ways on"
    )


class ImageRejected(Refusal):
    code = "AH178"
    sentence = (
        "the published image did not come up when it was tried ({found}), so the one before it stays: {images}; "
        "publish another one, or run 'agnes-auto-upgrade --again'"
    )


class PullFailed(Refusal):
    code = "AH179"
    sentence = (
        "the images of the stack can't be pulled ({found}); the stack runs with those that are on the host; see "
        "that the registry is reached and that root is logged in to it, then 'systemctl start agnes-auto-upgrade'"
    )


class LayoutNotShown(Refusal):
    code = "AH180"
    sentence = (
        "the keys of the layout can't be put back into {env_path}, because the disks of this host's record are not "
        "mounted as one layout has them ({found}); nothing was written or started; see 'agnes-host explain', mount "
        "what is missing, then 'systemctl start agnes-host-env'"
    )
