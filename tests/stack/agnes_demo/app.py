# SPDX-License-Identifier: GPL-3.0-or-later
"""The app: HTTP on port 8000 over the DuckDB file in STATE_DIR."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import duckdb
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from agnes_demo.paths import state_dir
from agnes_demo.settings import load_secret, load_settings
from agnes_demo.store import LATEST_SCHEMA, Store, StoreError

CHECKPOINT_SECONDS = 300.0
_TOKEN_TEXT = b"agnes-demo"


def usable_state_dir(env: Mapping[str, str]) -> Path:
    """STATE_DIR, or exit: making it would hide a missing disk behind an empty database."""
    state = state_dir(env)
    if not state.is_dir():
        sys.exit(f"agnes-demo: STATE_DIR {state} is not an existing directory; not creating it.")
    if not os.access(state, os.W_OK | os.X_OK):
        sys.exit(f"agnes-demo: STATE_DIR {state} is not writable by uid {os.geteuid()}.")
    return state


def _note(body: bytes) -> str:
    """The note in a request body: {"note": ...}, a JSON string, or plain text."""
    text = body.decode("utf-8", "replace")
    try:
        value = json.loads(text)
    except ValueError:
        return text
    if isinstance(value, dict):
        value = value.get("note", "")
    return value if isinstance(value, str) else text


def make_app(store: Store, state: Path, settings: Mapping[str, str], token: str) -> Starlette:
    """The ASGI application over an open store."""
    every = float(settings.get("AGNES_STATE_CHECKPOINT_INTERVAL_S") or CHECKPOINT_SECONDS)

    async def health(_: Request) -> JSONResponse:
        body = {
            "state_dir": str(state),
            "schema_version": store.schema,
            "label": settings.get("INSTANCE_LABEL", ""),
        }
        try:
            rows = await run_in_threadpool(store.count)
        except duckdb.Error as error:
            return JSONResponse({"status": "error", "error": str(error), **body}, 503)
        return JSONResponse({"status": "ok", "rows": rows, **body})

    async def list_rows(_: Request) -> JSONResponse:
        ids = await run_in_threadpool(store.ids)
        return JSONResponse({"count": len(ids), "ids": ids})

    async def add_row(request: Request) -> JSONResponse:
        row, count = await run_in_threadpool(store.add, _note(await request.body()))
        return JSONResponse({"id": row, "count": count}, 201)

    async def get_token(_: Request) -> JSONResponse:
        return JSONResponse({"token": token})

    async def check_token(request: Request) -> JSONResponse:
        given = request.query_params.get("token", "")
        valid = hmac.compare_digest(given.encode(), token.encode())
        return JSONResponse({"valid": valid}, 200 if valid else 401)

    async def checkpoints() -> None:
        while True:
            await asyncio.sleep(every)
            await run_in_threadpool(store.checkpoint)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        task = asyncio.create_task(checkpoints())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError, duckdb.Error):
                await task
            store.close()
            print("agnes-demo: database checkpointed and closed", flush=True)

    return Starlette(
        lifespan=lifespan,
        routes=[
            Route("/api/health", health),
            Route("/api/rows", list_rows, methods=["GET"]),
            Route("/api/rows", add_row, methods=["POST"]),
            Route("/api/token", get_token),
            Route("/api/token/check", check_token),
        ],
    )


def main() -> None:
    """Open the store, serve until SIGTERM, close the store."""
    state = usable_state_dir(os.environ)
    try:
        settings = load_settings(state, os.environ)
        keys = (
            load_secret(state, ".session_secret", settings.get("SESSION_SECRET")),
            load_secret(state, ".jwt_secret", settings.get("JWT_SECRET_KEY")),
        )
        # A lower number makes an old version's database, to test an upgrade with.
        store = Store(state, int(settings.get("AGNES_DEMO_SCHEMA") or LATEST_SCHEMA))
    except (StoreError, OSError) as error:
        sys.exit(f"agnes-demo: {error}")
    # Issued tokens stay valid exactly as long as both secrets survive.
    token = hmac.new(":".join(keys).encode(), _TOKEN_TEXT, hashlib.sha256).hexdigest()
    app = make_app(store, state, settings, token)
    # uvicorn raises the signal again once it has shut down; a clean stop is exit 0 all the same.
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: sys.exit(0))
    uvicorn.run(app, host="0.0.0.0", port=8000, timeout_graceful_shutdown=20, log_level="info")


if __name__ == "__main__":
    main()
