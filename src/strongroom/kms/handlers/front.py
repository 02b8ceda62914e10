"""What a listener adds around the pipeline: the address a trusted proxy names, headers of its own in every answer."""

import ipaddress
from collections.abc import Awaitable

from msgspec.structs import replace

from strongroom.errors import Malformed
from strongroom.kms.handlers.render import error_body, json_response
from strongroom.kms.settings import Listener
from strongroom.messages import Body, Handler, Peer, Request, Response

MISSING = "missing x-forwarded-for header and configured to reject when not present"
STRANGER = "client address not authorized for x-forwarded-for and configured to reject connection"
MALFORMED = "malformed x-forwarded-for configuration or request"


class Front:
    """A messages.Handler before another, as one `listener` block has it (vault.md 9)."""

    def __init__(self, handler: Handler, listener: Listener) -> None:
        self.handler = handler
        self.listener = listener
        self.trusted = [ipaddress.ip_network(block, strict=False) for block in listener.forwarded_from]
        self._dressings: dict[int, tuple[tuple[str, str], ...]] = {}

    def __call__(self, request: Request, body: Body) -> Response | Awaitable[Response]:
        """Answer a request."""
        if self.trusted:
            try:
                request.peer = self._peer(request)
            except Malformed as error:
                return self.dress(json_response(400, error_body([str(error)])))
        answer = self.handler(request, body)
        if not self.listener.response_headers:
            return answer
        return self.dress(answer) if isinstance(answer, Response) else self._later(answer)

    async def _later(self, waiting: Awaitable[Response]) -> Response:
        return self.dress(await waiting)

    def _peer(self, request: Request) -> Peer:
        """Return who asks: whom a trusted proxy names in X-Forwarded-For, else who connected; raise Malformed."""
        text, peer = request.headers.get("x-forwarded-for"), request.peer
        if text is None:
            if self.listener.forwarded_required:
                raise Malformed(MISSING)
            return peer
        if not self._trusts(peer.address):
            if self.listener.forwarded_strict:
                raise Malformed(STRANGER)
            return peer
        hops, skips = text.split(","), self.listener.forwarded_skips
        if skips >= len(hops):
            raise Malformed(
                f"{MALFORMED}, hops to skip ({skips}) would skip before earliest chain link (chain length {len(hops)})"
            )
        try:
            address = str(ipaddress.ip_address(hops[-1 - skips].strip()))
        except ValueError as error:
            raise Malformed(f"{MALFORMED}, hop {len(hops) - skips} is no address") from error
        return replace(peer, address=address)

    def _trusts(self, address: str) -> bool:
        try:
            found = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        return any(found in block for block in self.trusted)

    def dress(self, answer: Response) -> Response:
        """Return an answer with the listener's headers, which replace the server's."""
        more = self._dressings.get(answer.status)
        if more is None:
            more = self._dressings[answer.status] = self._dressing(answer.status)
        names = {name.lower() for name, _ in more}
        kept = tuple(header for header in answer.headers if header[0].lower() not in names)
        return replace(answer, headers=(*kept, *more))

    def _dressing(self, status: int) -> tuple[tuple[str, str], ...]:
        """Return the headers for a status: `default`, over them `4xx`, over them `404`."""
        found: dict[str, tuple[str, str]] = {}
        for key in ("default", f"{status // 100}xx", str(status)):
            for name, value in self.listener.response_headers.get(key, {}).items():
                found[name.lower()] = (name, value)
        return tuple(found.values())
