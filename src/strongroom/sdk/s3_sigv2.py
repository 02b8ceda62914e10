"""AWS Signature Version 2 in a header, for servers that know nothing newer (s3.md 3.5)."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from strongroom.s3.wire import sigv2


def sign(method: str, path: str, query: Sequence[tuple[str, str]], headers: Mapping[str, str], access_key: str,
         secret: str, now: datetime, bucket: str = "") -> dict[str, str]:  # fmt: skip
    """Return headers with Date and Authorization.

    path: as encoded by the client; bucket: the one in the host name, if it is there.
    """
    sent = dict(headers)
    sent["Date"] = now.strftime("%a, %d %b %Y %H:%M:%S GMT")
    low = {name.lower(): value for name, value in sent.items()}
    where = sigv2.resource(f"/{bucket}{path}" if bucket else path, query)
    sent["Authorization"] = f"AWS {access_key}:{sigv2.signature(secret, sigv2.string_to_sign(method, low, where))}"
    return sent
