# SPDX-License-Identifier: GPL-3.0-or-later
"""Refusals about the containers of the stack: AH055, AH145 to AH149, AH165; the others are in errors.py."""

from __future__ import annotations

from ..host.errors import Refusal


class NothingProved(Refusal):
    code = "AH055"
    sentence = (
        "these services must see this host's disks, and it could not be proved that they do: {found}; see with "
        "'docker compose ps --all' in {project} why they do not run, and run again"
    )


class NotUp(Refusal):
    code = "AH145"
    sentence = "services do not stay up: {found}; see 'docker compose logs' in {project}, correct the cause, and run again"


class OneOffHolds(Refusal):
    code = "AH146"
    sentence = (
        "containers that 'docker compose run' has started still run and use what would move: {found}; "
        "wait until they exit, or stop them with 'docker stop {names}', then run again"
    )


class StaleHolds(Refusal):
    code = "AH147"
    sentence = (
        "containers were started before their disk was mounted ({containers}), and the mount at '{path}' shadows "
        "files that they may have written (found {found}); stop them, look at the files as AH147 in docs/errors.md "
        "shows, move them aside, then run again"
    )


class StrayService(Refusal):
    code = "AH148"
    sentence = (
        "containers of the project belong to no service of its compose files, so a move would not stop them: "
        "{found}; find out what they are for, then add their file to COMPOSE_FILE in .env or remove them"
    )


class CaddySilent(Refusal):
    code = "AH165"
    sentence = (
        "service '{service}' does not answer at {address} ({found}, for {seconds} s), so it is not known which "
        "certificate it serves; see 'docker compose logs {service}' and what else uses that port, correct the "
        "cause, and run again"
    )
