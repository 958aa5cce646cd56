# SPDX-License-Identifier: GPL-3.0-or-later
"""Refusals of hosts on which nothing can be looked at or changed as it must be: 150 to 159, 015, 167 and 190 to 194."""

from __future__ import annotations

from .errors import Refusal


class NotRoot(Refusal):
    code = "AH015"
    sentence = (
        "the run is user '{user}' on the host, and only root can read disks and mounts; set "
        "ansible_become: true for the host, and no other ansible_become_user than root"
    )


class PlaceUnreadable(Refusal):
    code = "AH016"
    sentence = (
        "'{path}' can't be read ({found}), so it is not known whether state or data is there; look for disk "
        "errors with 'dmesg', correct the cause, and run again"
    )


class ToolMissing(Refusal):
    code = "AH150"
    sentence = (
        "this host lacks {found}, which this run needs (looked for in {path}); "
        "run 'apt-get install {packages}' there, and run again"
    )


class FstabFixed(Refusal):
    code = "AH151"
    sentence = (
        "/etc/fstab is {found}, and this run must change its lines for {mount_points}; make it a regular file "
        "that root can replace, and run again"
    )


class FstabTwice(Refusal):
    code = "AH152"
    sentence = (
        "lines {lines} of /etc/fstab are all for '{mount_point}', and a boot would mount one over the other; "
        "keep the right one and remove the others"
    )


class ChangedByYaml(Refusal):
    code = "AH153"
    sentence = (
        "YAML reads {key} in agnes_compose_env or agnes_compose_secrets as {found}, and does not keep it as it is "
        "written (1.10 becomes 1.1); put the value in quotes"
    )


class EngineOnStateDisk(Refusal):
    code = "AH154"
    sentence = (
        "the Docker engine keeps its own data in '{root_dir}', which is at or below {path}, where the state disk "
        "belongs, so no run can mount or move that disk; set another data-root in /etc/docker/daemon.json"
    )


class UnitsUnreadable(Refusal):
    code = "AH167"
    sentence = (
        "'{path}' can't be listed ({found}), so it is not known which units of the product a move must hold "
        "back; look for disk errors with 'dmesg', correct the cause, and run again"
    )


class KernelUsersUnreadable(Refusal):
    code = "AH190"
    sentence = (
        "'{path}' can't be read ({found}), so it is not known whether a swap file, a loop device or an NFS "
        "export keeps the state disk in use; look for errors with 'dmesg', correct the cause, and run again"
    )


class BootUnreadable(Refusal):
    code = "AH191"
    sentence = (
        "'{path}' can't be read ({found}), so it is not known whether it writes {env_path} at boot without "
        "{keys}; correct the cause, or look for yourself as docs/boot-script.md shows and then set "
        "state_layout_boot_script: handled"
    )


class CrontabsUnreadable(Refusal):
    code = "AH192"
    sentence = (
        "'{path}' can't be listed ({found}), so it is not known whether cron starts the product's own upgrade "
        "and rotation; look for disk errors with 'dmesg', correct the cause, and run again"
    )
