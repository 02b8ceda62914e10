"""A webhook that bucket notifications are sent to."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from strongroom.s3.outside.notices import post


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where to send events. name is part of the target's ARN; token becomes the Authorization header as it is."""

    name: str
    url: str
    token: str = field(default="", repr=False)

    def sender(self) -> Callable[[bytes], Awaitable[None]]:
        """Return what sends one message; raises Unavailable when it is not taken."""

        async def send(document: bytes) -> None:
            await post(self.url, self.token, document)

        return send
