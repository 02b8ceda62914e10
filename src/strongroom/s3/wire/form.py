"""Browser uploads: multipart/form-data as it streams, and the signed policy that allows it (s3.md 3.4)."""

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from strongroom.messages import Sink
from strongroom.s3.domain.principals import ANONYMOUS, Principal
from strongroom.s3.domain.refusals import Refused
from strongroom.s3.wire import sigv2, sigv4
from strongroom.s3.wire.authenticate import Verifier, check_token
from strongroom.s3.wire.claims import parse_scope

MAX_FIELDS = 20 * 1024  # bytes of all fields before the file (AWS)
MAX_HEAD = 8 * 1024  # bytes of a part's headers
MAX_NAMES = 64 * 1024  # bytes of all parts' headers before the file
_BOUNDARY = re.compile(r'multipart/form-data;.*?boundary="?([^";,]{1,70})"?', re.IGNORECASE)
_NAME = re.compile(
    rb'^content-disposition:[ \t]*form-data;[^\r\n]*?\bname="([^"]*)"', re.IGNORECASE | re.MULTILINE
)  # begins at a line's start only: else a head full of `form-data;` is looked through from each of them
_FILENAME = re.compile(rb'filename="((?:[^"\\]|\\.)*)"', re.IGNORECASE)


def malformed() -> Refused:
    """Return the refusal for a body that is no form."""
    return Refused("MalformedPOSTRequest")


def boundary(content_type: str) -> bytes:
    """Return the boundary of a form's Content-Type; raise Refused."""
    found = _BOUNDARY.match(content_type)
    if not found:
        raise malformed()
    return found[1].encode()


class FormDecoder:
    """Takes a form's bytes; collects the fields before `file`, then gives the file's bytes to a sink.

    begin is called with the fields (names in lower case) when the file starts, and returns the sink. What follows
    the file is ignored. Memory is bounded: fields by MAX_FIELDS and MAX_NAMES, the file by one window.
    """

    def __init__(self, mark: bytes, begin: Callable[[Mapping[str, str]], Sink]) -> None:
        self._mark = b"\r\n--" + mark
        self._begin = begin
        self._buffer = bytearray(b"\r\n")  # so that the first boundary looks like the others
        self._fields: dict[str, str] = {}
        self._size = 0
        self._heads = 0
        self._sink: Sink | None = None
        self._name: str | None = None  # of the field that is being read; None: a boundary is expected
        self.filename = ""
        self.done = False

    def feed(self, window: memoryview) -> None:
        """Take the next bytes; raise Refused."""
        if self.done:
            return
        self._buffer += window
        while not self.done and self._step():
            pass

    def finish(self) -> None:
        """Raise Refused when there was no file, or the form stopped inside it."""
        if self._sink is None:
            raise Refused("InvalidArgument", "POST requires exactly one file upload per request.")
        if not self.done:
            raise Refused("IncompleteBody")

    def _step(self) -> bool:
        if self._sink is not None:
            return self._file()
        if self._name is None:
            return self._part_head()
        at = self._buffer.find(self._mark)
        if at < 0:
            self._limit(len(self._buffer))
            return False
        self._limit(at)
        self._size += at
        self._fields[self._name] = bytes(self._buffer[:at]).decode("utf-8", "replace")
        del self._buffer[:at]
        self._name = None
        return True

    def _limit(self, waiting: int) -> None:
        if self._size + waiting > MAX_FIELDS:
            raise Refused("MaxMessageLengthExceeded")

    def _part_head(self) -> bool:
        """Read a boundary and a part's headers."""
        if len(self._buffer) < len(self._mark) + 2:
            return False
        if not self._buffer.startswith(self._mark):
            raise malformed()
        if self._buffer[len(self._mark) : len(self._mark) + 2] == b"--":
            self.done = True
            return False
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > MAX_HEAD:
                raise malformed()
            return False
        head = bytes(self._buffer[len(self._mark) : end])
        del self._buffer[: end + 4]
        self._heads += len(head)
        if self._heads > MAX_NAMES:
            raise Refused("MaxMessageLengthExceeded")
        name = _NAME.search(head)
        if not name:
            raise malformed()
        self._name = name[1].decode("utf-8", "replace").lower()
        if self._name == "file":
            found = _FILENAME.search(head)
            self.filename = found[1].decode("utf-8", "replace").rpartition("/")[2] if found else ""
            self._sink = self._begin(self._fields)
        return True

    def _file(self) -> bool:
        assert self._sink is not None
        at = self._buffer.find(self._mark)
        if at < 0:
            ready = len(self._buffer) - len(self._mark) + 1
            if ready > 0:
                self._hand_over(ready)
            return False
        self._hand_over(at)
        self.done = True
        return False

    def _hand_over(self, size: int) -> None:
        assert self._sink is not None
        if size:
            piece = bytes(self._buffer[:size])
            del self._buffer[:size]
            self._sink(memoryview(piece))


UNCHECKED = frozenset(
    {"policy", "file", "signature", "awsaccesskeyid", "x-amz-signature", "x-amz-server-side-encryption-customer-key"}
)  # fields that no condition needs to cover, besides x-ignore-…
_INEXACT = frozenset(
    {"bucket", "x-amz-algorithm", "x-amz-credential", "x-amz-date"}
)  # starts-with is refused for these


@dataclass(frozen=True, slots=True)
class FormPolicy:
    """A policy's conditions: (operator, field in lower case, value), and the limits of the file's size in bytes."""

    expires: float
    conditions: tuple[tuple[str, str, str], ...]
    smallest: int = 0
    largest: int = 5 * 1024**4
    fields: frozenset[str] = field(default=frozenset())

    def check(self, form: Mapping[str, str], now: float) -> None:
        """Raise Refused unless the form is what the policy allows."""
        if now >= self.expires:
            raise Refused("AccessDenied", "Invalid according to Policy: Policy expired")
        for operator, name, value in self.conditions:
            given = form.get(name, "")
            if not (given == value if operator == "eq" else given.startswith(value)):
                text = f"Invalid according to Policy: Policy Condition failed: [{operator}, ${name}, {value}]"
                raise Refused("AccessDenied", text)
        for name in form:
            if name not in self.fields and name not in UNCHECKED and not name.startswith("x-ignore-"):
                text = (
                    "Access Denied. (Each form field that you specify in a form must appear in the list of policy "
                    f'conditions. "{name.title()}" not specified in the policy.)'
                )
                raise Refused("AccessDenied", text)


def _bad(text: str) -> Refused:
    return Refused("InvalidPolicyDocument", f"The content of the form does not meet the conditions: {text}")


def parse_policy(text: str) -> FormPolicy:
    """Read a base64 policy document; raise Refused."""
    try:
        policy = json.loads(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError, RecursionError) as error:
        raise _bad("the policy is not base64 of JSON") from error
    if not isinstance(policy, dict) or not isinstance(policy.get("expiration"), str):
        raise _bad("expiration is missing")
    conditions = policy.get("conditions")
    if not isinstance(conditions, list) or not conditions:
        raise _bad("conditions are missing")
    return _policy(_expiration(policy["expiration"]), conditions)


def _expiration(text: str) -> float:
    try:
        when = datetime.fromisoformat(text)
    except ValueError as error:
        raise _bad("expiration is no date") from error
    return when.replace(tzinfo=when.tzinfo or UTC).timestamp()


def _policy(expires: float, conditions: list[Any]) -> FormPolicy:
    found: list[tuple[str, str, str]] = []
    limits = (0, 5 * 1024**4)
    for one in conditions:
        if isinstance(one, dict):
            if len(one) != 1:
                raise _bad("a condition names one field")
            found += [("eq", str(name).lower(), _word(value)) for name, value in one.items()]
        elif isinstance(one, list) and len(one) == 3:
            operator = str(one[0]).lower()
            if operator == "content-length-range":
                limits = (_size(one[1]), _size(one[2]))
                continue
            found.append(_condition(operator, one))
        else:
            raise _bad("a condition of no known form")
    return FormPolicy(expires, tuple(found), *limits, fields=frozenset([name for _, name, _ in found]))


def _condition(operator: str, one: list[Any]) -> tuple[str, str, str]:
    name = str(one[1])
    if operator not in ("eq", "starts-with") or not name.startswith("$"):
        raise _bad("a condition of no known form")
    name = name[1:].lower()
    if operator == "starts-with" and name in _INEXACT:
        raise _bad(f"starts-with is not allowed for {name}")
    return operator, name, _word(one[2])


def _word(value: object) -> str:
    if not isinstance(value, str):
        raise _bad("a value is no text")
    return value


def _size(value: object) -> int:
    try:
        size = int(str(value))
    except ValueError as error:
        raise _bad("a size is no number") from error
    if size < 0:
        raise _bad("a size is negative")
    return size


def authenticate(verifier: Verifier, form: Mapping[str, str], now: float) -> Principal:
    """Return who signed a form's policy (anonymous without one); raise Refused."""
    policy = form.get("policy")
    if not policy:
        return ANONYMOUS
    if "x-amz-credential" in form or "x-amz-signature" in form:
        return _v4(verifier, form, policy, now)
    if "awsaccesskeyid" in form and "signature" in form and verifier.allow_sigv2:
        credential = verifier.credential(form["awsaccesskeyid"])
        check_token(credential, form.get("x-amz-security-token", ""), now)
        wanted = sigv2.signature(credential.secret, policy)
        if not sigv4.same(wanted, form["signature"]):
            raise Refused("SignatureDoesNotMatch")
        return Principal(credential)
    raise Refused("InvalidArgument", "Bucket POST must contain a field named 'AWSAccessKeyId' or 'X-Amz-Credential'.")


def _v4(verifier: Verifier, form: Mapping[str, str], policy: str, now: float) -> Principal:
    for name in ("x-amz-credential", "x-amz-signature", "x-amz-date", "x-amz-algorithm"):
        if not form.get(name):
            raise Refused("InvalidArgument", f"Bucket POST must contain a field named '{name}'.")
    if form["x-amz-algorithm"] != sigv4.ALGORITHM:
        raise Refused("InvalidArgument", f'X-Amz-Algorithm only supports "{sigv4.ALGORITHM}".')
    access_key, date, region, service = parse_scope(form["x-amz-credential"])
    if service != "s3":
        raise Refused("AuthorizationParametersError")
    credential = verifier.credential(access_key)
    check_token(credential, form.get("x-amz-security-token", ""), now)
    key = verifier.keys.get(credential.secret, date, region)
    if not sigv4.same(sigv4.signature(key, policy), form["x-amz-signature"]):
        raise Refused("SignatureDoesNotMatch")
    return Principal(credential)
