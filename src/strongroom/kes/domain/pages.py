"""Pages of names, for stores that can only list everything."""

from bisect import bisect_right
from collections.abc import Iterable


def page(names: Iterable[str], prefix: str, after: str, limit: int) -> list[str]:
    """Cut a page out of names in any order: those that start with prefix and lie behind after, sorted."""
    chosen = sorted(name for name in names if name.startswith(prefix))
    start = bisect_right(chosen, after) if after else 0
    return chosen[start : start + limit]
