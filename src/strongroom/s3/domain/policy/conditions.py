"""The Condition block of a policy statement: operators as a table.

Source: AWS IAM user guide, "IAM JSON policy elements: Condition operators". Keys are compared without case.
"""

import base64
import binascii
import ipaddress
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from strongroom.errors import Malformed
from strongroom.s3.domain.policy.patterns import matches, plain, substitute

Values = Mapping[str, Sequence[str]]
"""What a request says of itself: condition key in lower case → its values."""
Test = Callable[[str, str], bool]


def _number(text: str) -> float:
    return float(text)


def _date(text: str) -> float:
    if text.lstrip("-").isdigit():
        return float(text)
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _boolean(text: str) -> bool:
    return {"true": True, "false": False}[text.lower()]


def _binary(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _arn(wanted: str, actual: str) -> bool:
    left, right = wanted.split(":", 5), actual.split(":", 5)
    return len(left) == len(right) and all(map(matches, left, right))


def _compared(read: Callable[[str], float], compare: Callable[[float, float], bool]) -> Test:
    return lambda wanted, actual: compare(read(actual), read(wanted))


def _in_network(wanted: str, actual: str) -> bool:
    address = ipaddress.ip_address(actual)
    mapped = getattr(address, "ipv4_mapped", None)
    network = ipaddress.ip_network(wanted, strict=False)
    return (mapped or address) in network


_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "Equals": lambda a, b: a == b,
    "LessThan": lambda a, b: a < b,
    "LessThanEquals": lambda a, b: a <= b,
    "GreaterThan": lambda a, b: a > b,
    "GreaterThanEquals": lambda a, b: a >= b,
}
TESTS: dict[str, Test] = {
    "StringEquals": lambda wanted, actual: wanted == actual,
    "StringEqualsIgnoreCase": lambda wanted, actual: wanted.lower() == actual.lower(),
    "StringLike": matches,
    "Bool": lambda wanted, actual: _boolean(wanted) == _boolean(actual),
    "BinaryEquals": lambda wanted, actual: _binary(wanted) == _binary(actual),
    "IpAddress": _in_network,
    "ArnEquals": _arn,
    "ArnLike": _arn,
    **{f"Numeric{name}": _compared(_number, compare) for name, compare in _COMPARISONS.items()},
    **{f"Date{name}": _compared(_date, compare) for name, compare in _COMPARISONS.items()},
}
_PATTERNS = (matches, _arn)
NEGATED = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "NumericNotEquals": "NumericEquals",
    "DateNotEquals": "DateEquals",
    "NotIpAddress": "IpAddress",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
}
_READERS: tuple[tuple[str, Callable[[str], object]], ...] = (
    ("Numeric", _number),
    ("Date", _date),
    ("Bool", _boolean),
    ("Null", _boolean),
    ("Binary", _binary),
    ("IpAddress", lambda text: ipaddress.ip_network(text, strict=False)),
)


@dataclass(frozen=True, slots=True)
class Condition:
    """One operator on one key. quantifier: "" , "ForAllValues" or "ForAnyValue"."""

    operator: str
    key: str
    wanted: tuple[str, ...]
    quantifier: str = ""
    if_exists: bool = False

    def holds(self, values: Values) -> bool:
        """Decide for a request; a value that cannot be read (a date that is none) does not match."""
        actual = values.get(self.key, ())
        if self.operator == "Null":
            return any(_boolean(wanted) == (not actual) for wanted in self.wanted)
        negated = self.operator in NEGATED
        if not actual:
            return self.if_exists or self.quantifier == "ForAllValues" or (negated and not self.quantifier)
        test = TESTS[NEGATED.get(self.operator, self.operator)]
        wanted = [text for text in (substitute(text, values) for text in self.wanted) if text is not None]
        if test not in _PATTERNS:
            wanted = list(map(plain, wanted))
        hits = [any(_passes(test, text, value) for text in wanted) != negated for value in actual]
        return any(hits) if self.quantifier == "ForAnyValue" or not (negated or self.quantifier) else all(hits)


def _passes(test: Test, wanted: str, actual: str) -> bool:
    try:
        return test(wanted, actual)
    except (ValueError, KeyError, binascii.Error):
        return False


def parse(block: object) -> tuple[Condition, ...]:
    """Read a Condition block; raise Malformed for an unknown operator or a value of the wrong kind."""
    if not isinstance(block, dict):
        raise Malformed("Condition must be an object")
    found: list[Condition] = []
    for name, keys in block.items():
        quantifier, _, rest = name.rpartition(":")
        operator = rest.removesuffix("IfExists")
        if quantifier not in {"", "ForAllValues", "ForAnyValue"} or not _known(operator):
            raise Malformed(f"invalid condition operator {name!r}")
        if not isinstance(keys, dict) or not keys:
            raise Malformed(f"condition {name!r} must be an object with at least one key")
        for key, value in keys.items():
            wanted = tuple(map(_text, value if isinstance(value, list) else [value]))
            _check(operator, wanted)
            found.append(Condition(operator, key.lower(), wanted, quantifier, operator != rest))
    return tuple(found)


def _known(operator: str) -> bool:
    return operator == "Null" or operator in TESTS or operator in NEGATED


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int, float)):
        return str(value)
    raise Malformed("a condition value must be a string, a number or a boolean")


def _check(operator: str, wanted: tuple[str, ...]) -> None:
    kind = NEGATED.get(operator, operator)
    read = next((read for prefix, read in _READERS if kind.startswith(prefix)), None)
    for text in wanted if read else ():
        try:
            if "${" not in text and read is not None:
                read(text)
        except (ValueError, KeyError, binascii.Error) as error:
            raise Malformed(f"invalid value {text!r} for condition operator {operator}") from error
