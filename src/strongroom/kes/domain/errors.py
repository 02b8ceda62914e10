"""What can go wrong in the key server, beyond the shared classes; `kes/wire/errors.py` has their wire texts."""

from strongroom.errors import (
    AlreadyExists,
    Conflict,
    Denied,
    Malformed,
    NotFound,
    NotSupported,
    Tampered,
    Unavailable,
)


class KeyNotFound(NotFound):
    """There is no key of that name."""


class KeyExists(AlreadyExists):
    """A key of that name exists, or existed and was deleted."""


class SecretNotFound(NotFound):
    """There is no secret of that name."""


class SecretExists(AlreadyExists):
    """There is a secret of that name."""


class PolicyNotFound(NotFound):
    """There is no policy of that name."""


class IdentityNotFound(NotFound):
    """The identity is neither the admin nor in a policy."""


class NoCertificate(Malformed):
    """The client presented no certificate that can carry an identity."""


class ManyCertificates(Malformed):
    """The client presented more than one certificate that is not a CA's."""


class BadForwarding(Malformed):
    """A TLS proxy forwards no certificate, several or a broken one; args[0] says which."""


class Unverified(Denied):
    """A certificate that a TLS proxy forwards is not one that `tls.ca` vouches for."""


class BadKeyName(Malformed):
    """The argument is not a valid key name; args[0] is the name itself."""


class BadPolicyName(Malformed):
    """The argument is not a valid policy name; args[0] is the name itself."""


class BadIdentity(Malformed):
    """The argument is not a valid identity; args[0] is the identity itself."""


class BadPattern(Malformed):
    """The argument is not a valid listing pattern; args[0] is the pattern itself."""


class BadImport(Malformed):
    """The body of an import is not the JSON that it should be."""


class BadCipher(NotSupported):
    """An import names a cipher that we do not know; args[0] is its name."""


class BadKeySize(NotSupported):
    """An imported key has the wrong length; args[0] is the cipher's name."""


class NotAuthentic(Tampered):
    """A ciphertext does not open: another key, another context or changed bytes."""


class OtherKey(NotAuthentic):
    """A ciphertext was sealed by an earlier key of the same name; args are both fingerprints in hexadecimal."""


class NoHmacKey(Conflict):
    """The key is so old that it has no HMAC key."""


class WrongState(Conflict):
    """The key is not in the state that the request expects; args[0] says so to the client."""


class KeyDisabled(Denied):
    """The key is disabled: nothing is sealed or opened with it until it is enabled."""


class KeyPendingDeletion(KeyDisabled):
    """The key waits for its deletion; `restore` brings it back."""


class TooManyCiphertexts(Malformed):
    """A bulk request holds more items than it may."""


class StoreUnreachable(Unavailable):
    """The key store cannot be reached, is sealed or is known to be away."""


class StoreFailed(Unavailable):
    """The key store answered, but not with what was asked for."""


class OperationFailed(StoreFailed):
    """The key store failed while something was done for a client; args[0] is what, such as `failed to read key`."""


class StoreDenied(StoreFailed):
    """The key store does not let us."""


class StoreShut(StoreDenied):
    """The key store does not know us (any longer): that it denies an entry says nothing about the entry."""


class StoredKeyDamaged(StoreFailed):
    """What lies in the key store under a key's name is not a key."""
