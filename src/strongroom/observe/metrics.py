"""Prometheus' text exposition, format 0.0.4, from plain numbers that the boxes count themselves."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"


@dataclass(frozen=True, slots=True)
class Sample:
    """One number; suffix goes behind the family's name (`_bucket`, `_sum`, `_count`)."""

    value: float
    labels: Mapping[str, str] = field(default_factory=dict)
    suffix: str = ""


@dataclass(frozen=True, slots=True)
class Family:
    """All numbers of one name. kind is counter, gauge or histogram."""

    name: str
    kind: str
    help: str
    samples: Sequence[Sample]


def exposition(families: Iterable[Family]) -> bytes:
    """Return the text; families without a sample are left out, as the original's vectors are."""
    lines = []
    for family in sorted(families, key=lambda one: one.name):
        if family.samples:
            lines.append(f"# HELP {family.name} {family.help}")
            lines.append(f"# TYPE {family.name} {family.kind}")
            lines.extend(_line(family.name, sample) for sample in family.samples)
    return "\n".join(lines).encode() + b"\n"


def _line(name: str, sample: Sample) -> str:
    pairs = ",".join(f'{label}="{_escaped(value)}"' for label, value in sample.labels.items())
    labels = f"{{{pairs}}}" if pairs else ""
    return f"{name}{sample.suffix}{labels} {number(sample.value)}"


def number(value: float) -> str:
    """Return a number as Go writes it: no `.0`, and an exponent of at least two digits."""
    if value == int(value) and abs(value) < 1e21:
        digits = str(int(value))
        if len(digits.lstrip("-")) <= 6 or abs(value) < 1e6:
            return digits
        mantissa = digits.rstrip("0")
        whole, rest = mantissa[: 1 + (value < 0)], mantissa[1 + (value < 0) :]
        return f"{whole}{'.' + rest if rest else ''}e+{len(digits.lstrip('-')) - 1:02}"
    return repr(float(value))


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


class Histogram:
    """Counts of durations in buckets; observe() is cheap enough for every request."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        """bounds are the buckets' upper ends in seconds, ascending, without infinity."""
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(self._bounds) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        """Count one duration."""
        self._sum += seconds
        for index, bound in enumerate(self._bounds):
            if seconds <= bound:
                self._counts[index] += 1
                return
        self._counts[-1] += 1

    def samples(self) -> list[Sample]:
        """Return cumulative buckets, sum and count."""
        total, samples = 0, []
        for bound, count in zip([*map(number, self._bounds), "+Inf"], self._counts, strict=True):
            total += count
            samples.append(Sample(total, {"le": bound}, "_bucket"))
        return [*samples, Sample(self._sum, suffix="_sum"), Sample(total, suffix="_count")]
