"""What ends a command early: a line for standard error and an exit code (vault.md 10.1)."""

from strongroom.errors import Error

LOCAL = 1  # wrong usage, a file that cannot be read, a bad environment
REMOTE = 2  # the server refused, is away, or has nothing there


class Fault(Error):
    """End the command with a message and an exit code."""

    def __init__(self, text: str, code: int = LOCAL) -> None:
        super().__init__(text)
        self.text = text
        self.code = code


class ServerFault(Fault):
    """The server could not be reached or said no; `status` is its HTTP status, 0 when there was no answer."""

    def __init__(self, text: str, status: int = 0, warnings: tuple[str, ...] = ()) -> None:
        super().__init__(text, REMOTE)
        self.status = status
        self.warnings = warnings

    def under(self, prefix: str) -> "ServerFault":
        """Return the same fault with its text headed by what was tried, as in `Error reading kv/x: ...`."""
        return ServerFault(f"{prefix}: {self.text}", self.status, self.warnings)


class Printed(Fault):
    """A command asked to be shown instead of run (-output-curl-string, -output-policy); the text is its output."""

    def __init__(self, text: str) -> None:
        super().__init__(text, 0)
