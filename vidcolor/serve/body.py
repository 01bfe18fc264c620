"""Bodies of requests: in blocks, never larger or slower than allowed."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import ClientDisconnect, Request

from vidcolor.serve.uploads import Refusal

BLOCK = 256 * 1024
"""Bytes that are held of a body; about as much comes from the network at once."""

LEAST = 1024
"""Bytes that must come within the server's patience."""

SMALL = 64 * 1024
"""Largest body of everything that is no file."""

CLOSE = {"Connection": "close"}


class Cut(Exception):
    """The client went away; what it had sent is kept."""


async def blocks(
    request: Request, most: int, patience: float, stop: asyncio.Event | None = None
) -> AsyncIterator[bytes]:
    """The body in blocks of about BLOCK.

    most: bytes it may have; Refusal (413) for more, before the bytes beyond are used.
    patience: seconds within which LEAST bytes have to come; Refusal (408) if they do not.
    stop: ends the body as if the client had gone.
    Raises Cut where the client goes away before the end.
    """
    declared = request.headers.get("content-length")
    if declared is not None and declared.isdecimal() and int(declared) > most:
        raise too_large(most)
    total, block, received = 0, bytearray(), 0
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience
    stream = request.stream()
    while True:
        try:
            chunk = await _next(stream, deadline, stop)
        except TimeoutError:
            if block:
                yield bytes(block)
            raise Refusal(408, "the body came too slowly; send the rest again", CLOSE) from None
        except (ClientDisconnect, Cut):
            if block:
                yield bytes(block)
            raise Cut from None
        if chunk is None:
            break
        total += len(chunk)
        if total > most:
            raise too_large(most)
        block += chunk
        received += len(chunk)
        if received >= LEAST:
            deadline, received = loop.time() + patience, 0
        if len(block) >= BLOCK:
            yield bytes(block)
            block.clear()
    if block:
        yield bytes(block)


def too_large(most: int) -> Refusal:
    """The answer to a body of more bytes."""
    return Refusal(413, f"the body is larger than {most} bytes", CLOSE)


async def _next(stream: Any, deadline: float, stop: asyncio.Event | None) -> bytes | None:
    """The next chunk, or None at the end. TimeoutError at the deadline; Cut when told to stop."""
    async with asyncio.timeout_at(deadline):
        if stop is None:
            return await anext(stream, None)
        chunk = asyncio.ensure_future(anext(stream, None))
        told = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait((chunk, told), return_when=asyncio.FIRST_COMPLETED)
            if not chunk.done():
                raise Cut
            return chunk.result()
        finally:
            told.cancel()
            chunk.cancel()
