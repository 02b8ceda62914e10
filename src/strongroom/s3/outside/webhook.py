"""Sends bucket notifications to a webhook."""

from collections.abc import Awaitable, Callable

from strongroom.s3.outside.notices import post


def sender(url: str, token: str) -> Callable[[bytes], Awaitable[None]]:
    """Return what sends one message; raises Unavailable when it is not taken."""

    async def send(document: bytes) -> None:
        await post(url, token, document)

    return send
