"""Bytes to a service and back, for requests that no HTTP client would send."""

import asyncio
import socket

from tornado.iostream import IOStream


async def connect(port: int) -> IOStream:
    stream = IOStream(socket.socket(socket.AF_INET))
    await stream.connect(("127.0.0.1", port))
    return stream


async def talk(port: int, *parts: bytes, pause: float = 0, seconds: float = 10) -> bytes:
    """Send the parts, and return all that comes until the other side closes.

    Raises TimeoutError if it does not close within `seconds`, StreamClosedError if it goes away
    before everything was sent.
    """
    stream = await connect(port)
    try:
        async with asyncio.timeout(seconds):
            for part in parts:
                await stream.write(part)
                await asyncio.sleep(pause)
            return await stream.read_until_close()
    finally:
        stream.close()
