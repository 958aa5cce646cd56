# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking at processes, which may end at any moment: one that has ended is known to do nothing."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

GONE = (errno.ENOENT, errno.ESRCH, errno.EINVAL)
"""What the kernel says of a process that has ended, or is about to, and of a kernel thread."""


@contextmanager
def while_it_runs() -> Iterator[None]:
    """Go on behind the block where the process is gone. Every other error is raised: unknown is not none."""
    try:
        yield
    except OSError as error:
        if error.errno not in GONE:
            raise
