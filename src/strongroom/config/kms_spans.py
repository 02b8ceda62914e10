"""Durations and numbers of a kms server's configuration."""

from typing import Any

from strongroom.config.hcl import Block
from strongroom.errors import BadSettings
from strongroom.kms.domain.fields import to_seconds


def span(block: Block, name: str, default: float) -> float:
    """Return a duration of a block, in seconds; raise BadSettings."""
    return seconds(block.members.get(name, default), f"{block.place}: {name}")


def whole(block: Block, name: str, default: int) -> int:
    """Return a whole number of a block; raise BadSettings."""
    try:
        return int(block.members.get(name, default))
    except (TypeError, ValueError) as error:
        raise BadSettings(f"{block.place}: {name} is not a whole number") from error


def seconds(value: Any, place: str) -> float:
    """Return a duration, in seconds; raise BadSettings naming the place."""
    try:
        return to_seconds(int(value) if isinstance(value, float) else value)
    except ValueError as error:
        raise BadSettings(f"{place}: {error}; write seconds, or a duration such as 30m") from error
