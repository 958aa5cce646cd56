# SPDX-License-Identifier: GPL-3.0-or-later
"""Refusals of an inventory and of a rollout: 200 to 209, 230 and 231."""

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
        "set it for one host only, or for none: then the first that is to be changed is the canary"
    )


class OneDeviceTwice(Refusal):
    code = "AH203"
    sentence = (
        "disks_data_device and disks_state_device are both '{device}' ({hosts}); name two disks, or set "
        "disks_state_device: '' for a host without a state disk"
    )


class BadSetting(Refusal):
    code = "AH204"
    sentence = "{name} is '{found}', wanted {wanted}; correct it, no host was called"


class StopFile(Refusal):
    code = "AH205"
    sentence = (
        "the stop file '{path}' exists on the controller, so no further wave begins; remove it and run again: "
        "hosts that are right are only checked"
    )


class Frozen(Refusal):
    code = "AH206"
    sentence = (
        "it is {now} on the controller, and rollout_not_between has {window}, so no further wave begins; run "
        "again after that time: hosts that are right are only checked"
    )


class TooManyFailures(Refusal):
    code = "AH207"
    sentence = (
        "hosts have failed or can't be reached ({count}: {hosts}), and rollout_max_failures allows {limit}, so "
        "no further wave begins; correct the cause, or leave them out with --limit, and run again"
    )


class CanaryFailed(Refusal):
    code = "AH208"
    sentence = (
        "the canary has failed or can't be reached ({hosts}), so no further wave begins; correct the cause, "
        "and run again"
    )


class SecondRollout(Refusal):
    code = "AH209"
    sentence = (
        "another rollout has the hosts {hosts}: that of {who}; wait for its end. Only if you know that it does not run "
        "any more, add -e rollout_take_over=true; this run has changed nothing"
    )


class OtherImage(Refusal):
    code = "AH230"
    sentence = (
        "the app's image '{image}' is {found} on this host, and rollout_image_digest wants {wanted}; let the host pull the "
        "image, or correct rollout_image_digest, and run again"
    )


class OtherThanNamed(Refusal):
    code = "AH231"
    sentence = (
        "containers run another image than their service names: {found}; see what pulls or tags images on this host "
        "meanwhile, and run again: that makes these containers anew"
    )
