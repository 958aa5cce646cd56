# SPDX-License-Identifier: GPL-3.0-or-later
"""Refusals of an inventory and of a rollout: 200 to 209."""

from __future__ import annotations

from .errors import Refusal


class UnknownVariable(Refusal):
    code = "AH200"
    sentence = (
        "variables are set that nothing reads: {found}; correct each name, or rename what is yours"
    )


class DeploymentUncertain(Refusal):
    code = "AH201"
    sentence = (
        "the deployment of {hosts} is {found}; set agnes_deployment to the name of the group that has "
        "the deployment's hosts, best in group_vars of that group"
    )


class TwoCanaries(Refusal):
    code = "AH202"
    sentence = (
        "deployment '{deployment}' has more than one host with rollout_canary ({found}), and one is wanted; "
        "set it for one host only, or for none: then the first is the canary"
    )


class OneDeviceTwice(Refusal):
    code = "AH203"
    sentence = (
        "disks_data_device and disks_state_device are both '{device}' ({hosts}); name two disks, or set "
        "disks_state_device: '' for a host without a state disk"
    )
