# SPDX-License-Identifier: GPL-3.0-or-later
"""Refusals about the containers of the stack: AH055 and AH145 to AH149; the others are in errors.py."""

from __future__ import annotations

from .errors import Refusal


class NothingProved(Refusal):
    code = "AH055"
    sentence = (
        "by the chain of compose files these services must see this host's disks, and nothing shows that they do: "
        "{found}; see 'docker compose ps --all' in {project}, and run again"
    )


class NotUp(Refusal):
    code = "AH145"
    sentence = "services do not stay up: {found}; mend the cause, see 'docker compose logs' in {project}, and run again"


class OneOffHolds(Refusal):
    code = "AH146"
    sentence = (
        "containers that 'docker compose run' has started still run and hold what would move: {found}; "
        "wait for their end, or stop them with 'docker stop {names}', then run again"
    )


class StaleHolds(Refusal):
    code = "AH147"
    sentence = (
        "containers run since before their disk was mounted ({containers}), and beneath '{path}' lies what they may "
        "have written there (found {found}); stop them, look at it as docs/errors.md shows, move it aside, then run again"
    )


class StrayService(Refusal):
    code = "AH148"
    sentence = (
        "containers of the project belong to no service of its chain of compose files, so a move would not stop "
        "them: {found}; find out what they are for, then put their file into the chain or take them away"
    )
