# SPDX-License-Identifier: GPL-3.0-or-later
"""Sleep that ends at once on SIGTERM or SIGINT."""

from __future__ import annotations

import signal

_STOP = {signal.SIGTERM, signal.SIGINT}


def hold_signals() -> None:
    """Block the stop signals so that they arrive only between two writes.

    As PID 1 an unblocked SIGTERM without a handler is dropped by the kernel; a blocked one is kept.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP)


def stopped_within(seconds: float) -> bool:
    """Wait; True if a stop signal came (also one that came before the call)."""
    return signal.sigtimedwait(_STOP, seconds) is not None
