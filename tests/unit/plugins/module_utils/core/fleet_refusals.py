# SPDX-License-Identifier: GPL-3.0-or-later
"""What raises each refusal of an inventory and of a rollout, and its whole sentence."""

from __future__ import annotations

from typing import Any

from ansible_collections.agnes.host.plugins.module_utils.core.compose import images
from ansible_collections.agnes.host.plugins.module_utils.core.host import fleet_errors as errors
from ansible_collections.agnes.host.plugins.module_utils.core.host import inventory, lease, waves

from .move_refusals import Case

KNOWN = ("state_layout_wanted", "disks_adopt", "agnes_deployment")
PREFIXES = ("state_layout_", "disks_")


def said(*names: str, **differs: Any) -> dict[str, Any]:
    """What an inventory says of a host."""
    return {
        "names": list(names), "groups": ["agnes", "acme"], "deployment": "acme", "canary": False,
        "devices": {"disks_data_device": "/dev/sdb", "disks_state_device": "/dev/sdc"},
        **differs,
    }  # fmt: skip


ONE = {"disks_data_device": "/dev/sdc", "disks_state_device": "/dev/sdc"}
LEASE = {"user": "ops", "controller": "ctl-1", "pid": 7, "at": "2026-11-28T10:00:00Z"}

IMAGE: images.Used = {
    "id": f"sha256:{'2' * 64}", "digests": [], "services": ["app"], "running": {"agnes-app-1": f"sha256:{'1' * 64}"},
}  # fmt: skip

FLEET = [
    Case(
        errors.UnknownVariable,
        lambda tmp: inventory.check_names(
            {"a1": said("state_layuot_wanted"), "a2": said("state_layuot_wanted", "disks_x")},
            KNOWN, PREFIXES,
        ),
        "AH200: variables are set that nothing reads: 'disks_x' (a2), 'state_layuot_wanted' (a1, a2; did you "
        "mean state_layout_wanted?); correct each name, or rename what is yours",
    ),
    Case(
        errors.DeploymentUncertain,
        lambda tmp: inventory.check_deployments({"a1": said(), "a2": said(deployment="")}),
        "AH201: the deployment of a2 is none, while others are in acme; set agnes_deployment to the name of "
        "the group that has the deployment's hosts, best in group_vars of that group",
    ),
    Case(
        errors.DeploymentUncertain,
        lambda tmp: inventory.check_deployments({"a1": said(), "a2": said(deployment="amce")}),
        "AH201: the deployment of a2 is 'amce', which is none of their groups (acme, agnes, did you mean "
        "acme?); set agnes_deployment to the name of the group that has the deployment's hosts, best in "
        "group_vars of that group",
    ),
    Case(
        errors.TwoCanaries,
        lambda tmp: inventory.check_canaries({f"a{n}": said(canary=True) for n in range(1, 6)}),
        "AH202: deployment 'acme' has more than one host with rollout_canary (a1, a2, a3 and 2 more), and "
        "one is wanted; set it for one host only, or for none: then the first that is to be changed is the canary",
    ),
    Case(
        errors.OneDeviceTwice,
        lambda tmp: inventory.check_devices({"a1": said(), "a2": said(devices=ONE)}),
        "AH203: disks_data_device and disks_state_device are both '/dev/sdc' (a2); name two disks, or set "
        "disks_state_device: '' for a host without a state disk",
    ),
    Case(
        errors.BadSetting,
        lambda tmp: waves.settings({"rollout_max_failures": "10%"}),
        "AH204: rollout_max_failures is '10%', wanted a whole number; correct it, no host was called",
    ),
    Case(
        errors.StopFile,
        lambda tmp: waves.check_begin(waves.settings({"rollout_stop_file": "/tmp/stop"}), [], True, "12:00"),
        "AH205: the stop file '/tmp/stop' exists on the controller, so no further wave begins; remove it and run again: "
        "hosts that are right are only checked",
    ),
    Case(
        errors.Frozen,
        lambda tmp: waves.check_begin(waves.settings({"rollout_not_between": "07:00-19:00"}), [], False, "12:00"),
        "AH206: it is 12:00 on the controller, and rollout_not_between has 07:00-19:00, so no further wave begins; run "
        "again after that time: hosts that are right are only checked",
    ),
    Case(
        errors.TooManyFailures,
        lambda tmp: waves.check_begin(waves.settings({}), [{"name": "a1", "stage": "wave", "outcome": "lost"}], False, "12:00"),
        "AH207: hosts have failed or can't be reached (1: a1), and rollout_max_failures allows 0, so no further wave "
        "begins; correct the cause, or leave them out with --limit, and run again",
    ),
    Case(
        errors.CanaryFailed,
        lambda tmp: waves.check_begin(waves.settings({}), [{"name": "a1", "stage": "canary", "outcome": "failed"}], False, "12:00"),
        "AH208: the canary has failed or can't be reached (a1), so no further wave begins; correct the cause, and run "
        "again",
    ),
    Case(
        errors.SecondRollout,
        lambda tmp: lease.check_leases({"a1": LEASE, "a2": {}}),
        "AH209: another rollout has the hosts a1, a2: that of ops@ctl-1 (process 7, since 2026-11-28T10:00:00Z); wait for "
        "its end. Only if you know that it does not run any more, add -e rollout_take_over=true; this run has changed nothing",
    ),
    Case(
        errors.SecondRollout,
        lambda tmp: lease.check_leases({"a2": {}}),
        "AH209: another rollout has the hosts a2: that of somebody whom the lease in /run/agnes-host/rollout.json does not "
        "name; wait for its end. Only if you know that it does not run any more, add -e rollout_take_over=true; this run has "
        "changed nothing",
    ),
    Case(
        errors.OtherImage,
        lambda tmp: images.check_wanted({"agnes:1": {**IMAGE, "digests": ["sha256:pulled"]}}, "sha256:wanted"),
        "AH230: the app's image 'agnes:1' is sha256:pulled on this host, and rollout_image_digest wants sha256:wanted; let "
        "the host pull the image, or correct rollout_image_digest, and run again",
    ),
    Case(
        errors.OtherThanNamed,
        lambda tmp: images.check_running({"agnes:1": IMAGE}),
        "AH231: containers run another image than their service names: 'agnes-app-1' runs 111111111111, and 'agnes:1' is "
        "222222222222; see what pulls or tags images on this host meanwhile, and run again: that makes these containers "
        "anew",
    ),
]  # fmt: skip
