"""AEADs, key derivation, sealed keys, the sealed stream: bytes in, bytes out. No file, no socket, no clock."""
