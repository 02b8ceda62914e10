"""What all connections of a listener share."""

import asyncio
import logging
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import Error, Incomplete, Malformed, TooLarge, Unavailable
from ..messages import Handler, Response
from .channel import TlsContext
from .head import Refused
from .limits import Limits
from .render import Renderer
from .transfer import Pool
from .turn import Turn

if TYPE_CHECKING:
    from .connection import Connection

log = logging.getLogger("strongroom.net")
_ROWS: dict[type[Error], int] = {TooLarge: 413, Incomplete: 400, Malformed: 400, Unavailable: 500}


@dataclass(slots=True)
class Shared:
    """The settings and the state of one listener. now: the loop's time at the last tick, in seconds."""

    handler: Handler
    limits: Limits
    verbs: frozenset[str]
    refuse: Callable[[int, str], Response]
    tls: TlsContext | None
    pool: Pool
    loop: asyncio.AbstractEventLoop
    renderer: Renderer = field(default_factory=Renderer)
    connections: "set[Connection]" = field(default_factory=set)
    running: "set[asyncio.Task[None]]" = field(default_factory=set)  # handlers that wait, answers that are long
    empty: asyncio.Event = field(default_factory=asyncio.Event)  # set when the last connection has gone
    stopping: bool = False
    now: float = 0.0
    turn: Turn = field(init=False)

    def __post_init__(self) -> None:
        self.turn = Turn(self.loop)

    def failed(self, error: BaseException) -> Response:
        """Return the answer to what a handler raised and did not turn into an answer itself."""
        if isinstance(error, Refused):
            return self.refuse(error.status, str(error))
        for kind in type(error).__mro__:
            if kind in _ROWS:
                return self.refuse(_ROWS[kind], str(error))
        log.error("a handler failed: %s", where(error))
        return self.refuse(500, "internal error")

    def instead(self, error: Exception) -> bytes:
        """Return, as it is sent, the answer to what a `Response.before` has raised."""
        response = self.failed(error)
        body = response.body if isinstance(response.body, bytes) else b""
        return self.renderer.head(response, http10=False, keep_alive=False) + body


def where(error: BaseException) -> str:
    """Say what was raised and where; the message only of our own errors, whose text holds no secret."""
    frames = traceback.extract_tb(error.__traceback__)
    places = " < ".join(f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in reversed(frames[-8:]))
    text = f": {error}" if isinstance(error, Error) else ""
    return f"{type(error).__name__}{text} at {places}"
