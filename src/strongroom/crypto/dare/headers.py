"""The header of a package (docs/formats/dare.md)."""

import struct

VERSION_1, VERSION_2 = 0x10, 0x20
FINAL = 0x80  # in the first byte of the nonce
LOW = struct.Struct("<I")  # the last four bytes of the nonce: with the package's number
START = struct.Struct("<BBH")  # version, cipher, payload's length - 1
