"""The beginning of a server: its key service is reached, users and policies are read, now or as soon as that can be."""

import asyncio
import logging

from strongroom.errors import BadSettings, Error
from strongroom.s3.domain.key_errors import KeyServiceAway
from strongroom.s3.operators import Office
from strongroom.s3.outside.kes_service import KesService
from strongroom.s3.outside.static_key import StaticKey

log = logging.getLogger("strongroom.s3")

RETRY_SECONDS = 10.0  # at most, between two attempts
KeyService = KesService | StaticKey


async def begin(service: KeyService | None, office: Office) -> "tuple[list[str], asyncio.Task[None] | None]":
    """Start the key service and read users and policies; return warnings, and what goes on trying where that failed.

    Root is served meanwhile, whatever the reason: a lost or locked default key must not keep it from what other keys
    and no key protect (sse.md 10).
    """
    warnings: list[str] = []
    try:
        warnings += await service.start() if service else []
        await office.load()
    except KeyServiceAway as error:
        text = f"the key service is away, trying again: {error.detail or error}"
    except BadSettings:
        raise
    except Error as error:
        text = f"users and policies cannot be read, only root is served: {_reason(error)}"
    else:
        return warnings, None
    return [*warnings, text], asyncio.create_task(_retry(service, office))


def _reason(error: Error) -> str:
    return ": ".join([*getattr(error, "__notes__", ()), str(error), *filter(None, [getattr(error, "detail", "")])])


async def _retry(service: KeyService | None, office: Office) -> None:
    pause, said = 0.5, ""
    while True:
        await asyncio.sleep(pause)
        try:
            if service is not None:
                await service.start()
            await office.load()
        except KeyServiceAway:
            pause = min(pause * 2, RETRY_SECONDS)
        except Error as error:
            if said != (reason := _reason(error)):
                log.error("users and policies cannot be read, only root is served: %s", reason)
            pause, said = RETRY_SECONDS, reason
        else:
            log.warning("the key service is back, users and policies were read")
            return
