"""Text broken into lines of even length, as the originals break their warnings."""

WIDTH = 78


def lines(text: str, width: int = WIDTH) -> list[str]:
    """Break words so that the squares of the spaces left over, the last line's excepted, are fewest."""
    words = text.split()
    count = len(words)
    cost = [0.0] * (count + 1)
    after = [count] * (count + 1)
    for first in range(count - 1, -1, -1):
        cost[first] = float("inf")
        length = -1
        for stop in range(first + 1, count + 1):
            length += 1 + len(words[stop - 1])
            if length > width and stop > first + 1:
                break
            slack = 0 if stop == count else (width - length) ** 2
            if slack + cost[stop] < cost[first]:
                cost[first], after[first] = slack + cost[stop], stop
    found, at = [], 0
    while at < count:
        found.append(" ".join(words[at : after[at]]))
        at = after[at]
    return found


def wrap(text: str, width: int = WIDTH) -> str:
    """Return the broken text."""
    return "\n".join(lines(text, width))


def warning(product: str, texts: tuple[str, ...]) -> str:
    """Return the block that shows a server's warnings (vault.md 10.1)."""
    items = ["\n".join("  " + line for line in lines(f"* {text}", WIDTH - 2)) for text in texts]
    head = f"WARNING! The following warnings were returned from {product}:"
    return "\n\n".join([head, *items]) + "\n\n"
