# SPDX-License-Identifier: GPL-3.0-or-later
"""Every refusal of the collection: a stable code and one sentence.

A sentence says what is wrong, what was found, what is wanted and what to do.
Codes are never reused; docs/errors.md explains each of them.
This package decides and does no I/O: it is private to agnes.host and may change.
"""

from __future__ import annotations


class Refusal(Exception):
    """The host is not as it must be; nothing has been changed.

    Subclasses carry ``code`` and ``sentence``, a format string whose fields
    are the keyword arguments of the constructor.
    """

    code = "AH000"
    sentence = "{reason}"

    def __init__(self, **facts: object) -> None:
        self.facts = facts
        super().__init__(f"{self.code}: {self.sentence.format(**facts)}")


# 001 to 019: which layout


class UnknownLayout(Refusal):
    code = "AH001"
    sentence = "unknown layout '{asked}' in {source}; the layouts are {known}: name one of them"


class LayoutContradiction(Refusal):
    code = "AH002"
    sentence = (
        "layout '{asked}' contradicts state_layout_wanted '{wanted}' of the inventory; "
        "make them agree, or add -e state_layout_override_inventory=true to this run"
    )


class UnknownStateDir(Refusal):
    code = "AH003"
    sentence = (
        "{env_path} puts state at '{found}', which no layout uses (the layouts use {known}); correct STATE_DIR or "
        "DATA_DIR there"
    )


class StateElsewhere(Refusal):
    code = "AH004"
    sentence = (
        "{env_path} puts state at '{expected}', but there is none; state was found at '{found}': set "
        "STATE_DIR={found} again if that is this host's state, and find out what rewrote the file"
    )


class StateTwice(Refusal):
    code = "AH005"
    sentence = (
        "state was found at more than one place ({found}), and this collection never chooses "
        "between two copies; move aside the one that is not in use"
    )


class MoveNotSupported(Refusal):
    code = "AH006"
    sentence = (
        "this version can't move the state at '{found}' (layout {current}, {kind}) to layout {wanted}; it moves the "
        "mount point of a state disk, and copies state between a directory of the data disk and a state disk: run "
        "with layout={current}, or without a layout"
    )


class StateLinkForeign(Refusal):
    code = "AH007"
    sentence = "'{path}' must be {wanted}, found {found}; find out who made it, then move it aside"


class NewerFormat(Refusal):
    code = "AH008"
    sentence = (
        "'{path}' has format {found}, this version reads format {known}; "
        "use agnes.host {found}.0.0 or later on this host"
    )


class BootScriptRewrites(Refusal):
    code = "AH009"
    sentence = (
        "layout {layout} would be lost at the next boot, because {env_path} is written anew without {keys} by "
        "{found}; change that as docs/boot-script.md shows, then set state_layout_boot_script: handled"
    )


class Unreadable(Refusal):
    code = "AH010"
    sentence = (
        "'{path}' can't be read ({found}); find out what wrote it, then correct it or move it aside"
    )


class UnknownDataDir(Refusal):
    code = "AH011"
    sentence = (
        "{env_path} puts data at '{found}', where no layout mounts a disk (the layouts use {known}); correct "
        "DATA_DIR there"
    )


class StateInVolume(Refusal):
    code = "AH012"
    sentence = (
        "this host's state or data is not at '{place}', but {found}; nothing was changed: copy it to the disks as "
        "docs/bring-over.md shows, or, if none of it is wanted, set disks_left_behind: ['{name}']"
    )


class ContainersElsewhere(Refusal):
    code = "AH013"
    sentence = (
        "there is state at '{place}', but {found}, so the containers work on another copy; find out which one "
        "is right as docs/bring-over.md shows, then remove the containers ('docker compose --profile '*' down', never with --volumes)"
    )


class CouldNotLook(Refusal):
    code = "AH014"
    sentence = (
        "{what} could not be read ({found}), and it may hold this host's state or data, so no disk is "
        "formatted or mounted; make it readable, or see AH014 in docs/errors.md, then run again"
    )


# 020 to 039: disks


class NoSuchDevice(Refusal):
    code = "AH020"
    sentence = "{variable} names '{device}', which {found}; the disks here are {disks}"


class SameDevice(Refusal):
    code = "AH021"
    sentence = (
        "disks_data_device and disks_state_device are the same disk ('{data}' and '{state}' are {found}); "
        "name two disks"
    )


class NotBlank(Refusal):
    code = "AH022"
    sentence = (
        "refusing to format '{device}' for {mount_point}: it is not proved blank, found {found}; "
        "attach a blank disk, or {consent}"
    )


class SystemDisk(Refusal):
    code = "AH023"
    sentence = "{variable} names '{device}', which holds {found}; name another disk"


class NotWholeDisk(Refusal):
    code = "AH024"
    sentence = "{variable} names '{device}', which is a {found}; only whole disks are formatted: name the disk"


class TooSmall(Refusal):
    code = "AH025"
    sentence = (
        "'{device}' for {mount_point} is too small (found {found}, wanted at least {wanted}); "
        "attach a larger disk, or lower {variable}"
    )


class NoStateDevice(Refusal):
    code = "AH026"
    sentence = (
        "layout {layout} needs a state disk of its own, and disks_state_device is not set; "
        "attach a disk and name it there"
    )


class WrongDiskMounted(Refusal):
    code = "AH027"
    sentence = (
        "'{mount_point}' has filesystem {found} mounted, this host's record says {wanted}; "
        "mount the right disk, or find out why it changed; if it was meant, 'agnes-host rebind --{role} UUID "
        "--because replaced' takes the one that is mounted"
    )


class ForbiddenMount(Refusal):
    code = "AH028"
    sentence = "'{mount_point}' is a mount point, which layout {layout} must not have; unmount it and take it out of /etc/fstab"


class MountPointInUse(Refusal):
    code = "AH029"
    sentence = (
        "'{mount_point}' is not mounted but holds files, which a mount would shadow (found {found}); "
        "move them to the disk, or aside"
    )


class ReadOnlyDevice(Refusal):
    code = "AH030"
    sentence = (
        "'{device}' for {mount_point} is read-only; attach it read-write, or, if it was mounted so after an error "
        "('journalctl -k'), unmount it and check its filesystem first"
    )


class FstabConflict(Refusal):
    code = "AH031"
    sentence = (
        "/etc/fstab line {line} already gives '{mount_point}' to '{found}', which is not mounted; "
        "mount it, or take the line out"
    )


class NotMounted(Refusal):
    code = "AH032"
    sentence = "'{mount_point}' is not mounted (found {found}), so nothing is written there; run the disks role first"


class ConsentSpent(Refusal):
    code = "AH033"
    sentence = (
        "the consent to format '{device}' (identity '{identity}', found {found}) is used up: this host has "
        "formatted the disk once by it; take it out of disks_format, and find out what has written to the disk "
        "since"
    )


class DiskMissing(Refusal):
    code = "AH035"
    sentence = (
        "this host's {role} disk (UUID {uuid}, {size}) is {found}, so nothing is formatted or mounted in its place "
        "at {mount_point}; attach it again; if another disk has its content now, 'agnes-host rebind --{role} UUID "
        "--because replaced' takes that one; if it is lost for good, move {record} aside and take its line out of "
        "/etc/fstab"
    )


class WrongRole(Refusal):
    code = "AH036"
    sentence = (
        "'{device}' is to be the {role} disk at {mount_point}, but it looks like the {other} disk (found "
        "{found}); exchange disks_data_device and disks_state_device, or name the right disks"
    )


class ProbeFailed(Refusal):
    code = "AH037"
    sentence = (
        "it is not known what is on '{device}' for {mount_point} ({found}), so nothing is done to it; make sure "
        "that wipefs and blkid (Debian's util-linux) can read it, and look for disk errors with 'journalctl -k'"
    )


class AgnesDisks(Refusal):
    code = "AH038"
    sentence = (
        "these disks belong to an Agnes host, and this host's record does not have them: {found}; to use them as "
        "they are set disks_adopt: [{uuids}]; to format them, and lose what is on them, see docs/disks.md"
    )


class PlaceUnusable(Refusal):
    code = "AH039"
    sentence = "no disk could be mounted at '{mount_point}', because {found}; {action}"


class SelinuxLabels(Refusal):
    code = "AH034"
    sentence = (
        "SELinux is enforcing and the engine confines containers by labels, so they could not use {mount_points}; "
        "set disks_selinux_type to the type to mount them with, such as container_file_t (nothing is relabelled)"
    )


# 040 to 059: engine and stack


class NoEngine(Refusal):
    code = "AH040"
    sentence = "no usable Docker engine: {found}; install and start one (the distribution's docker.io or docker-ce)"


class ComposeTooOld(Refusal):
    code = "AH041"
    sentence = (
        "Docker Compose {found} is too old (wanted {wanted} or later, older ones ignore '!override' "
        "and would mount the wrong disk); install a newer one"
    )


class NoArtifacts(Refusal):
    code = "AH042"
    sentence = (
        "no compose files: {found}; set agnes_compose_image to an image that carries /opt/agnes-host, "
        "or agnes_compose_artifacts_dir to a directory on the host"
    )


class ComposeInvalid(Refusal):
    code = "AH043"
    sentence = "Compose rejects {files}: {found}; correct the file"


class OverlayUnproved(Refusal):
    code = "AH044"
    sentence = (
        "with the compose files {chain}, service '{service}' would mount {found} (wanted {wanted}); find out which "
        "of these files does it, then correct it or take it out of COMPOSE_FILE"
    )


class VolumeLeftOver(Refusal):
    code = "AH045"
    sentence = (
        "service '{service}' would still use the named volume '{volume}' for data; find the compose file that does "
        "it, then correct it or take it out of COMPOSE_FILE"
    )


class EnvUnreadable(Refusal):
    code = "AH046"
    sentence = "{path} line {line}: {found}; write one plain KEY=value a line"


class EnvValueUnsafe(Refusal):
    code = "AH047"
    sentence = (
        "the value for {key} holds {found}, which the product's scripts and Compose read differently; "
        "use a value without quotes, $, backticks, backslashes, and spaces at its start or end"
    )


class WrongDiskInContainer(Refusal):
    code = "AH048"
    sentence = "containers see something else than this host's disks: {found}; stop them, then see AH048 in docs/errors.md"


class NotHealthy(Refusal):
    code = "AH049"
    sentence = "service '{service}' is {found} after {seconds} s{log}; see 'docker compose logs {service}' in {project}"

    def __init__(self, log: str = "", **facts: object) -> None:
        """log: how the service's log ends, on one line; empty where there is none."""
        super().__init__(log=f"; its log ends with: {log}" if log else "", **facts)


class EnvKeyOwned(Refusal):
    code = "AH050"
    sentence = (
        "{key} in agnes_compose_env is decided by the layout; take it out, and choose with -e layout= "
        "or state_layout_wanted"
    )


class UnsuitableEngine(Refusal):
    code = "AH051"
    sentence = "the Docker engine here is {found}, where {why}; use the distribution's docker.io or docker-ce"


class MountOverState(Refusal):
    code = "AH052"
    sentence = (
        "service '{service}' mounts something else ({found}) at '{path}', where it would shadow the state; find the "
        "compose file that does it, and take the mount out"
    )


class ProjectName(Refusal):
    code = "AH053"
    sentence = (
        "Compose gives the project in {project} the name '{found}', and the product's scripts expect '{wanted}'; "
        "take COMPOSE_PROJECT_NAME out of .env, or the name out of the compose file"
    )


class ProjectLink(Refusal):
    code = "AH054"
    sentence = (
        "'{path}' is a link to '{found}', so Compose may give the project two different names; make '{path}' a "
        "directory: move the files there, or use a bind mount"
    )


class EngineSlow(Refusal):
    code = "AH056"
    sentence = (
        "the Docker engine does not answer: {found}; it may be starting, overloaded or stuck: run "
        "'docker info' on the host, and run again when it answers"
    )


# 100 to 109: purge


class NotRetired(Refusal):
    code = "AH100"
    sentence = (
        "'{path}' is not one of the paths that were set aside on this host (set aside: {known}), so it is not "
        "deleted; name one of these exactly as it is written"
    )


# 140 to 149: what Compose resolves


class NotAsProved(Refusal):
    code = "AH140"
    sentence = (
        "the project in {project} has changed since it was proved ({found}), so nothing is started; find out "
        "what changes its files or .env at the same time, stop that, and run again"
    )


class PathOfOurs(Refusal):
    code = "AH141"
    sentence = (
        "'{service}' would mount '{found}', which belongs to this collection and is gone at the next boot; find the "
        "compose file that does it, and correct it"
    )


class NoStage(Refusal):
    code = "AH142"
    sentence = (
        "the project can't be proved before it is written, because {found}; the proof needs unshare, tar and the "
        "kernel's overlay filesystem (modprobe overlay)"
    )


class DryRunUnreadable(Refusal):
    code = "AH143"
    sentence = (
        "the output of a dry run of Compose can't be read ({found}), so it is not known which containers it would "
        "recreate; use a version of Compose that was tested (see AH143 in docs/errors.md)"
    )


class DryRunActed(Refusal):
    code = "AH144"
    sentence = (
        "containers have changed during a dry run of Compose ({found}): either something else changed them, or this "
        "version of Compose acts in a dry run; run again, and if it comes again use another version of Compose"
    )


class EngineBefore25(Refusal):
    code = "AH149"
    sentence = (
        "service '{service}' has healthcheck.start_interval, which needs Docker 25 or later, and the engine here is "
        "{found}; upgrade Docker, or take that line out of the compose file"
    )
