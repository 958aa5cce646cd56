# SPDX-License-Identifier: GPL-3.0-or-later
"""Refusals 187 to 193: of ``agnes-host rebind``, which changes nothing then; see errors.py."""

from __future__ import annotations

from .errors import Refusal


class RebindNoReason(Refusal):
    code = "AH187"
    sentence = (
        "nothing was changed, because {found}; look at what is shown above, and if it is what you want, say why: "
        "--because {known}"
    )


class RebindNotOneDisk(Refusal):
    code = "AH188"
    sentence = (
        "the record is not changed: UUID {uuid} for the {role} disk is on {found}, and must be on exactly one; "
        "attach that disk, and detach each copy"
    )


class RebindNotThisDisk(Refusal):
    code = "AH189"
    sentence = "the record is not changed: '{device}' (UUID {uuid}) can't be this host's {role} disk, because {found}; {action}"


class RebindNotNow(Refusal):
    code = "AH193"
    sentence = "the record is not changed now, because {found}; {action}, then run this again"
