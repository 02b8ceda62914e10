"""Keys as an operator sees them: status, list, create, and our own verbs (sse.md 12.2, settled.md s3)."""

import hmac

from strongroom.crypto.context import canonical
from strongroom.errors import AlreadyExists, Error, Malformed
from strongroom.messages import Response
from strongroom.s3.domain.key_errors import NoKeyService
from strongroom.s3.domain.key_service import KeyService
from strongroom.s3.domain.policy.patterns import matches
from strongroom.s3.domain.refusals import Refused
from strongroom.s3.handlers.admin.desk import DONE, Errand, Errander
from strongroom.s3.wire.admin import refused, render_json
from strongroom.s3.wire.errors import status_and_text

CONTEXT = canonical({"MinIO admin API": "KMSKeyStatusHandler"})
NO_TIME = "0001-01-01T00:00:00Z"
STATE = {
    "Version": "",
    "KeyStoreLatency": 0,
    "KeyStoreReachable": False,
    "KeystoreAvailable": False,
    "OS": "",
    "Arch": "",
    "UpTime": 0,
    "CPUs": 0,
    "UsableCPUs": 0,
    "HeapAlloc": 0,
    "StackAlloc": 0,
}
DAY = 86400  # seconds
MAX_DELAY_DAYS = 3650


def service(errand: Errand) -> KeyService:
    """Return the key service; raise NoKeyService without one."""
    if errand.desk.keys is None:
        raise NoKeyService()
    return errand.desk.keys


async def status(errand: Errand) -> Response:
    """Return the kind of the key service and its endpoints' states."""
    keys = service(errand)
    record = {"name": keys.kind, "default-key-id": keys.default_key, "endpoints": dict(await keys.endpoints())}
    return render_json({**record, "state": STATE})


async def version(errand: Errand) -> Response:
    """Return the key service's version."""
    return render_json({"version": await service(errand).version()})


async def apis(errand: Errand) -> Response:
    """Return the key service's routes."""
    return render_json(list(await service(errand).apis()))


async def metrics(errand: Errand) -> Response:
    """Return how often data keys were used, with what end, how fast."""
    counters = errand.desk.counters
    if counters is None:
        raise NoKeyService()
    return render_json(
        {
            "kms_req_success": counters.success,
            "kms_req_error": counters.error,
            "kms_req_failure": counters.failure,
            "kms_resp_time": dict(counters.histogram()),
        }
    )


async def create(errand: Errand) -> Response:
    """Make a key. An existing one is 409, which the original meant and answered 500 instead."""
    keys = service(errand)
    name = errand.query["key-id"]
    _authorise_key(errand, "CreateKey", name)
    try:
        await keys.create(name)
    except AlreadyExists as error:
        raise refused("XMinioKMSKeyExists") from error
    except Malformed as error:
        raise refused("XMinioAdminInvalidArgument", str(error)) from error
    return DONE


async def list_keys(errand: Errand) -> Response:
    """Return the keys that match and that the caller may see.

    A pattern is a prefix, or has stars. The original takes it for a prefix with its stars, which matches nothing.
    """
    pattern = errand.query["pattern"]
    names = await service(errand).names(pattern.partition("*")[0])
    if "*" in pattern:
        names = [name for name in names if matches(pattern, name)]
    shown = [name for name in names if errand.allows("kms:ListKeys", name)]
    return render_json([{"createdAt": NO_TIME, "createdBy": "", "name": name} for name in shown])


async def key_status(errand: Errand) -> Response:
    """Try a key: make a data key and open it again. Answers 200 with the error inside, as recorded."""
    keys = service(errand)
    name = errand.query.get("key-id") or keys.default_key
    _authorise_key(errand, "KeyStatus", name)
    return render_json({"key-id": name, **await _trial(errand, name)})


async def _trial(errand: Errand, name: str) -> dict[str, str]:
    data_keys = errand.desk.data_keys
    if data_keys is None:
        raise NoKeyService()
    try:
        made = await data_keys.generate(name, CONTEXT)
    except Error as error:
        return {"encryption-error": _text(error)}
    try:
        opened = await data_keys.unseal(name, made.ciphertext, CONTEXT)
    except Error as error:
        return {"decryption-error": _text(error)}
    if not hmac.compare_digest(bytes(opened), bytes(made.plaintext)):
        return {"decryption-error": "The generated and the decrypted data key do not match"}
    return {}


def _text(error: Error) -> str:
    return status_and_text(error)[1] if isinstance(error, Refused) else str(error)


def _authorise_key(errand: Errand, action: str, name: str) -> None:
    if errand.request.path.startswith("/minio/kms/"):
        errand.authorise(f"kms:{action}", name)


def change(verb: str) -> Errander:
    """Return the handler of rotate, disable, enable or restore."""

    async def handle(errand: Errand) -> Response:
        name = errand.argument("key-id")
        errand.authorise(f"kms:{verb.capitalize()}Key", name)
        changed = await service(errand).change(verb, name)
        await errand.keys_changed()
        return render_json({"key-id": name, **dict(changed)})

    return handle


async def delete(errand: Errand) -> Response:
    """Schedule a key's deletion, `after` days from now (default 30): its objects become unreadable for ever then."""
    name = errand.argument("key-id")
    errand.authorise("kms:DeleteKey", name)
    seconds = _delay(errand.query.get("after", "30d"))
    deleted = await service(errand).delete(name, seconds)
    await errand.keys_changed()
    return render_json({"key-id": name, **dict(deleted)})


_UNITS: dict[str, float] = {"s": 1, "m": 60, "h": 3600, "d": DAY}


def _delay(text: str) -> float:
    """Return seconds of `0s`, `36h`, `30d`."""
    number, unit = text[:-1], text[-1:]
    if unit not in _UNITS or not number.isdecimal() or len(number) > 9:
        raise refused("XMinioAdminInvalidArgument", f"after={text!r} is not a delay; write 0s, 36h or 30d")
    seconds = int(number) * _UNITS[unit]
    if seconds > MAX_DELAY_DAYS * DAY:
        raise refused("XMinioAdminInvalidArgument", f"after={text!r} is more than {MAX_DELAY_DAYS} days")
    return seconds


async def describe(errand: Errand) -> Response:
    """Return a key's state."""
    name = errand.query.get("key-id") or service(errand).default_key
    errand.authorise("kms:KeyStatus", name)
    return render_json({"key-id": name, **dict(await service(errand).describe(name))})
