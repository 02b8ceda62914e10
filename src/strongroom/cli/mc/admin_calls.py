"""What all admin commands share: the connection, sealed bodies, the form of failures (mc.md 10.1)."""

import json

from strongroom.cli.mc.failures import Fatal
from strongroom.cli.mc.flags import Line
from strongroom.cli.mc.shell import Shell
from strongroom.errors import Error
from strongroom.sdk.s3_admin import ADMIN, Admin


class Desk:
    """The admin side of one alias. Its calls end the run with `failed` when the server refuses."""

    def __init__(self, shell: Shell, line: Line, failed: str) -> None:
        self.alias = shell.admin_alias(line.args[0])
        self.name = self.alias.name
        self.admin = Admin(shell.client(self.alias))
        self.failed = failed

    def call(self, method: str, path: str, query: dict[str, str] | None = None, body: bytes | None = None, *,
             base: str = ADMIN) -> bytes:  # fmt: skip
        """Send one request; return what came back."""
        try:
            return self.admin.call(method, path, query, body, base=base)
        except Error as error:
            raise Fatal(self.failed, error) from error

    def json(self, method: str, path: str, query: dict[str, str] | None = None, body: bytes | None = None, *,
             base: str = ADMIN) -> object:  # fmt: skip
        """As call, for answers in JSON; {} for an empty one."""
        return self._read(self.call(method, path, query, body, base=base))

    def _read(self, data: bytes) -> object:
        try:
            return json.loads(data) if data.strip() else {}
        except ValueError as error:
            raise Fatal(self.failed, f"the server's answer is not JSON: {error}") from error

    # ---- sealed with our secret key (sse.md 14) ----

    def seal(self, document: object) -> bytes:
        """Seal a document for the server."""
        from strongroom.crypto import madmin

        plain = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
        return madmin.seal(self.alias.secret_key.encode(), plain)

    def seal_text(self, text: str) -> bytes:
        """Seal plain text."""
        from strongroom.crypto import madmin

        return madmin.seal(self.alias.secret_key.encode(), text.encode())

    def unseal(self, data: bytes) -> bytes:
        """Open what the server sealed; "" stays empty."""
        from strongroom.crypto import madmin

        try:
            return madmin.open(self.alias.secret_key.encode(), data) if data else b""
        except Error as error:
            raise Fatal(self.failed, error) from error

    def sealed(self, method: str, path: str, query: dict[str, str] | None = None,
               document: object = None) -> object:  # fmt: skip
        """Send a sealed document (None: no body) and read a sealed answer."""
        body = None if document is None else self.seal(document)
        return self._read(self.unseal(self.call(method, path, query, body)))


def mapping(value: object) -> dict[str, object]:
    """Return value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def texts(value: object) -> list[str]:
    """Return value's members as text; null is an empty list."""
    return [str(each) for each in value] if isinstance(value, list) else []
