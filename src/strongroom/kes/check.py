"""`kes server --check`: tries everything that a configuration names, without serving."""

import asyncio
import datetime
import difflib
import socket
import sys

from strongroom.errors import BadSettings, Error
from strongroom.kes.domain.settings import Settings
from strongroom.kes.handlers.routes import ROUTES
from strongroom.kes.listener import listener_tls
from strongroom.kes.stores import open_store
from strongroom.net.pem import certificates, read_pem

SOON = datetime.timedelta(days=30)
HARMLESS = {"/version", "/v1/ready", "/v1/status", "/v1/metrics", "/v1/api"}  # what `skip_auth` is meant for


def check(settings: Settings) -> int:
    """Print one line for each thing; return 0 when all are well, else 1. Warnings about the file count."""
    problems = [f"configuration: {warning}" for warning in warnings(settings)]
    for what, work in (("address", _address), ("certificate", _certificate), ("key store", _store)):
        try:
            print(f"{what}: {work(settings)}")
        except (Error, OSError) as error:
            problems.append(f"{what}: {error}")
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


def warnings(settings: Settings) -> list[str]:
    """Return the file's warnings, and those about `api`: unknown routes, and what anybody may call (kes.md 4.1)."""
    known = {route.path for route in ROUTES}
    found = list(settings.warnings)
    for path, change in settings.routes.items():
        if path not in known:
            near = difflib.get_close_matches(path, known, 1)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            found.append(f"api: there is no '{path}', so this changes nothing{hint}")
        elif change.skip_auth and path not in HARMLESS:
            found.append(f"api: anybody may call '{path}', without a certificate and without a policy")
    return found


def _address(settings: Settings) -> str:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((settings.host, settings.port))
    return f"{settings.host or '*'}:{settings.port} is free"


def _certificate(settings: Settings) -> str:
    listener_tls(settings)
    end = certificates(read_pem(settings.tls.cert))[0].not_valid_after_utc
    left = end - datetime.datetime.now(datetime.UTC)
    if left < SOON:
        raise BadSettings(f"{settings.tls.cert} expires on {end:%Y-%m-%d}")
    return f"{settings.tls.cert} matches its key and is valid until {end:%Y-%m-%d}"


def _store(settings: Settings) -> str:
    async def main() -> str:
        store = await open_store(settings.store, lambda text: print(text, file=sys.stderr))
        try:
            seconds = await store.status()
            return f"{store.description} answered within {seconds * 1000:.0f} ms"
        finally:
            await store.close()

    return asyncio.run(main())
