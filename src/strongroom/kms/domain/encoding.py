"""Base64 with the complaints that Go's decoder makes."""

import binascii
import re
from base64 import b64decode

from strongroom.kms.domain.errors import Refused

_STRANGE = re.compile(r"[^A-Za-z0-9+/]")


def unbase64(text: str, head: str = "") -> bytes:
    """Return the bytes of padded standard base64; raise Refused, its text headed by head.

    Line ends are passed over, as Go's decoder does: `base64` on a command line puts them in.
    """
    try:
        return b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        bare = text.replace("\r", "").replace("\n", "")
        if bare != text:
            return unbase64(bare, head)
        found = _STRANGE.search(text.rstrip("=") if len(text) % 4 == 0 else text)
        place = found.start() if found else len(text) // 4 * 4
        raise Refused(f"{head}illegal base64 data at input byte {place}") from error
