"""What transit's requests bring: base64 members, batches of items, and the answer to a batch (vault.md 6.2)."""

import asyncio
import time
from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Awaitable
from typing import Any

from strongroom.kms.domain.encoding import unbase64
from strongroom.kms.domain.errors import Failed, Refused, Sealed
from strongroom.kms.domain.fields import kind_name, to_int, to_text
from strongroom.kms.handlers.call import Call, Reply

SLICE_NS = 5_000_000  # nanoseconds that a batch works before others have their turn


def decode(text: Any) -> bytes:
    """Return the bytes of base64 text, None counting as empty; raise Refused."""
    if text is None:
        return b""
    if not isinstance(text, str):
        raise Refused("illegal base64 data at input byte 0")
    try:
        return a2b_base64(text, strict_mode=True) if text else b""
    except Base64Error:
        return unbase64(text)


def text_of(value: Any) -> str:
    """Return a text member of a batch item; raise Refused."""
    try:
        return to_text(value)
    except ValueError as error:
        raise Refused(str(error)) from error


def whole(value: Any) -> int:
    """Return a whole number of a batch item; raise Refused."""
    try:
        return to_int(value)
    except ValueError as error:
        raise Refused(str(error)) from error


def associated_data(text: Any, index: int = 0) -> bytes:
    """Return the associated data of an item, None counting as empty; raise Failed."""
    if not text:
        return b""
    try:
        return unbase64(text_of(text), f"unable to get associated_data/additional_data from factory[{index}]: ")
    except Refused as error:
        raise Failed(str(error)) from error


def batch_items(data: dict[str, Any]) -> list[dict[str, Any]] | None:
    """Return the items of a batch, None without one; raise Refused or Failed."""
    if "batch_input" not in data or data["batch_input"] is None:
        return None
    items = data["batch_input"]
    if not isinstance(items, list):
        raise Failed(f"failed to parse batch input: source data must be an array or slice, got {kind_name(items)}")
    if not items:
        raise Refused("missing batch input to process")
    for index, item in enumerate(items):
        if not isinstance(item, dict):
            raise Failed(f"failed to parse batch input: '[{index}]' expected a map, got '{kind_name(item)}'")
    return items


def batch_of(data: dict[str, Any], member: str) -> list[dict[str, Any]] | None:
    """Return the items of a batch that each must have a member."""
    items = batch_items(data)
    what = f"{member} to {'encrypt' if member == 'plaintext' else 'decrypt'}"
    for index, item in enumerate(items or ()):
        if member not in item:
            raise Failed(f"failed to parse batch input: '[{index}].{member}' missing {what}")
    return items


def check_evidence(items: list[dict[str, Any]]) -> str:
    """Return what the items of a batch are to be verified by, `signature` or `hmac`; raise Refused unless all agree."""
    kinds = {next((name for name in ("signature", "hmac") if name in item), "") for item in items}
    if kinds == {""}:
        raise Refused("no batch_input elements have 'signature' or 'hmac'")
    if kinds >= {"signature", "hmac"}:
        raise Refused("elements of batch_input must all provide 'signature' or all provide 'hmac'")
    (found,) = kinds - {""}
    if "" in kinds:
        raise Refused(f"some elements of batch_input are missing '{found}'")
    return found


def input_of(item: dict[str, Any], *, needed: bool) -> bytes:
    """Return an item's input, absent counting as empty unless needed; raise Refused."""
    if needed and "input" not in item:
        raise Refused("missing input")
    return unbase64(text_of(item.get("input") or ""), "unable to decode input as base64: ")


def check_contexts(items: list[dict[str, Any]]) -> None:
    if len({bool(item.get("context")) for item in items}) > 1:
        raise Refused("context should be set either in all the request blocks or in none")


def batch_reply(
    call: Call, items: list[dict[str, Any]], one: Any, failed: dict[str, Any], *, fine: bool = False
) -> Reply | Awaitable[Reply]:
    """Return the answer to a batch: 400, or the wished code, when an item failed, unless that is fine.

    A batch that takes longer than SLICE_NS lets other requests in between; then an awaitable is returned.
    """
    batch = _Batch(call, items, one, failed, fine=fine)
    return batch.reply() if batch.advance() else batch.finish()


class _Batch:
    """A batch that is being worked on."""

    def __init__(
        self, call: Call, items: list[dict[str, Any]], one: Any, failed: dict[str, Any], *, fine: bool
    ) -> None:
        self._call, self._items, self._one, self._failed, self._fine = call, items, one, failed, fine
        self._results: list[dict[str, Any]] = []
        self._errors = 0

    def advance(self) -> bool:
        """Work for one slice of time; say whether nothing is left."""
        until = time.monotonic_ns() + SLICE_NS
        for index in range(len(self._results), len(self._items)):
            item = self._items[index]
            try:
                result = self._one(item, index)
            except Refused as error:
                result, self._errors = self._failed | {"error": str(error)}, self._errors + 1
            self._results.append(result | {"reference": text_of(item.get("reference") or "")})
            if time.monotonic_ns() > until:
                break
        return len(self._results) == len(self._items)

    async def finish(self) -> Reply:
        """Work on, with the other requests' turns between."""
        while True:
            await asyncio.sleep(0)
            if self._call.core.unsealed is None:
                raise Sealed("Vault is sealed")
            if self.advance():
                return self.reply()

    def reply(self) -> Reply:
        """Return the answer."""
        status = 0
        if self._errors and not self._fine:
            wished = self._call.get("partial_failure_response_code")
            status = wished if wished and self._errors < len(self._items) else 400
        return Reply(status=status, data={"batch_results": self._results})
