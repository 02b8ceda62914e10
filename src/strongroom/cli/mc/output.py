"""What may happen to standard output, as exceptions that no command takes for a failure of its own."""

from collections.abc import Iterator
from contextlib import contextmanager


class Unwritable(BaseException):
    """Standard output takes no more: the run ends, and its last word goes to standard error."""


class ReaderLeft(BaseException):
    """Whoever read our output is gone: the run ends silently. Not an OSError, which commands report."""


@contextmanager
def writing() -> Iterator[None]:
    """Turn what happens to standard output into ReaderLeft and Unwritable."""
    try:
        yield
    except BrokenPipeError as error:
        raise ReaderLeft from error
    except OSError as error:
        raise Unwritable((error.strerror or str(error)).lower()) from error
