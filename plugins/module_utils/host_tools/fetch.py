# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetching a small text from https:// or file://: bounded in size and time, and without a redirect."""

from __future__ import annotations

import os
import ssl
import threading
import urllib.error
import urllib.parse
import urllib.request
from typing import Any, Optional

from ..core.host.host_tools import without_secrets
from ..system.host import durable

LIMIT = 1 << 20
"""Bytes; a chain of certificates has a few thousand."""
SECONDS = 60.0
"""For all of it, however slowly the server sends."""
_STEP_SECONDS = 20.0


class NotFetched(Exception):
    """Nothing was fetched; the message says why."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A login page, or another host, is no source that anybody has named."""

    def redirect_request(
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> Optional[urllib.request.Request]:
        raise NotFetched(f"it redirects ({code}) to {without_secrets(newurl)}")


def _from_server(source: str, seconds: float) -> bytes:
    context = ssl.create_default_context()
    opener = urllib.request.build_opener(
        _NoRedirect(), urllib.request.HTTPSHandler(context=context)
    )
    try:
        with opener.open(source, timeout=min(seconds, _STEP_SECONDS)) as answer:
            content: bytes = answer.read(LIMIT + 1)
            return content
    except urllib.error.HTTPError as error:
        raise NotFetched(f"the server says {error.code}") from error
    except (OSError, ValueError, urllib.error.URLError) as error:
        raise NotFetched(_reason(error)) from error


def _reason(error: Exception) -> str:
    """Why, in few words: an URLError has the real error in it."""
    inner = getattr(error, "reason", None)
    cause = inner if isinstance(inner, Exception) else error
    if isinstance(cause, TimeoutError):
        return "the server does not answer"
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"the server's own certificate is not trusted here ({cause.verify_message})"
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return str(cause) or type(cause).__name__


def _from_file(source: str) -> bytes:
    # As issuers of certificates have it, the name may be a link; what it leads to is a file.
    path = urllib.parse.unquote(urllib.parse.urlsplit(source).path)
    try:
        with durable.opened_file(os.path.realpath(path)) as file:
            return file.read(LIMIT + 1)
    except OSError as error:
        raise NotFetched(error.strerror or "it is not a regular file") from error


def text(source: str, seconds: float = SECONDS) -> str:
    """The text at an address. Raises NotFetched.

    A server that sends a byte now and then would be waited for without end, so a thread asks it,
    which ends with the process.
    """
    if source.lower().startswith("file:"):
        content = _from_file(source)
    else:
        answers: list[Any] = []

        def ask() -> None:
            try:
                answers.append(_from_server(source, seconds))
            except Exception as error:
                answers.append(error)

        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        thread.join(seconds)
        if not answers:
            raise NotFetched(f"it was not complete within {seconds:.0f} s")
        if isinstance(answers[0], NotFetched):
            raise answers[0]
        if isinstance(answers[0], Exception):
            raise NotFetched(f"{type(answers[0]).__name__}: {answers[0]}") from answers[0]
        content = answers[0]
    if not content.strip():
        raise NotFetched("it is empty")
    if len(content) > LIMIT:
        raise NotFetched(f"it has more than {LIMIT} bytes")
    return content.decode("utf-8", "replace")
