"""Why the S3 box says no, where the shared error classes are not precise enough: a refusal carries an S3 code.

The wire's table (s3/wire/errors.py) knows each code's status and default text.
"""

from collections.abc import Mapping, Sequence

from strongroom.errors import Error


class Refused(Error):
    """A request is refused with this S3 error code.

    text     replaces the code's usual message; it is sent to the client
    extra    further elements of the error document, in order
    headers  further headers of the answer
    early    refused before the address was looked at: the answer names no bucket and key
    """

    def __init__(
        self,
        code: str,
        text: str | None = None,
        *,
        extra: Mapping[str, str] | None = None,
        headers: Sequence[tuple[str, str]] = (),
        early: bool = False,
        status: int | None = None,
    ) -> None:
        super().__init__(text or code)
        self.code = code
        self.text = text
        self.extra = extra or {}
        self.headers = headers
        self.early = early
        self.status = status
