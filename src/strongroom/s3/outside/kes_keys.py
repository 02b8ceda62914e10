"""Data keys from a KES, ours or the original, over its own protocol (sse.md 9.4, kes.md 11)."""

from strongroom.crypto.secret import Secret
from strongroom.s3.domain.key_errors import DECRYPT, GENERATE, KeyDisabled, KeyServiceFailed
from strongroom.s3.domain.ports import DataKey
from strongroom.s3.outside.kes_failures import translated
from strongroom.sdk.kes import KesClient


class KesKeys:
    """DataKeys under the keys of a KES. `denied` holds what the event stream has said about locked keys.

    A second KES may not have heard of a lock yet: what it answers under an older generation of key states is refused.
    """

    def __init__(self, client: KesClient, default_key: str) -> None:
        self.client = client
        self.default_key = default_key
        self.denied: dict[str, int] = {}  # key name → number of the generation that locked it

    async def generate(self, key_name: str, context: bytes, *, shared: bool = False) -> DataKey:
        """Make a data key. Raises the errors of domain/key_errors. Sharing is the business of whoever caches."""
        name = key_name or self.default_key
        with translated(GENERATE, "/v1/key/generate/" + name):
            made = await self.client.generate(name, context)
        self._check(name, made.generation)
        plaintext = _data_key(GENERATE, made.plaintext)
        try:
            fingerprint = bytes.fromhex(made.fingerprint)
        except ValueError as error:
            raise KeyServiceFailed(GENERATE, f"a fingerprint of {made.fingerprint!r}") from error
        return DataKey(plaintext, made.ciphertext, name, made.version or 0, fingerprint)

    async def unseal(self, key_name: str, ciphertext: bytes, context: bytes) -> Secret:
        """Open a data key. Raises the errors of domain/key_errors."""
        name = key_name or self.default_key
        with translated(DECRYPT, "/v1/key/decrypt/" + name):
            opened = await self.client.decrypt(name, ciphertext, context)
        self._check(name, opened.generation)
        return _data_key(DECRYPT, opened.plaintext)

    def kept(self, key_name: str, ciphertext: bytes, context: bytes, *, use: bool = False) -> Secret | None:
        """Return None: keeping is the business of whoever caches."""
        return None

    def kept_shared(self, key_name: str, context: bytes) -> DataKey | None:
        """Return None, for the same reason."""
        return None

    def _check(self, name: str, generation: str) -> None:
        locked = self.denied.get(name)
        if locked is not None and generation_number(generation) <= locked:
            raise KeyDisabled(f"{name}: locked, and this key server has not heard of it yet")


def _data_key(code: str, plaintext: bytes) -> Secret:
    if len(plaintext) != 32:
        raise KeyServiceFailed(code, f"a data key of {len(plaintext)} bytes")
    return Secret(plaintext)


def generation_number(text: str) -> int:
    """Return the number in a generation (`12-5f…`); 0 for an original KES, which has none."""
    number = text.partition("-")[0]
    return int(number) if number.isdecimal() else 0
