"""Certificates of a chain: made at a start, renewed at a start and once a day, so that a chain may run for years."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

from strongroom.chain import certificates, settings
from strongroom.chain.folder import Address, Chain, Folder

BOXES = ("kms", "kes", "s3")
LOOK_SECONDS = 24 * 3600.0  # between looks at how long certificates last


def renew(folder: Folder, chain: Chain) -> list[str]:
    """Make what is missing, does not fit or ends soon; return the boxes whose certificate is a new one."""
    authority = settings.authority_pair(folder)
    if not certificates.certifies(authority):
        certificates.make_authority(authority)
    renewed = []
    for box in BOXES:
        pair, hosts = settings.server_pair(folder, box), _hosts(chain.address(box))
        if not certificates.serves(authority, pair, hosts):
            certificates.make_server(authority, pair, hosts)
            renewed.append(box)
    return renewed


async def keep_renewed(
    folder: Folder, chain: Chain, reload: Callable[[str], Awaitable[None]], say: Callable[[str], None]
) -> None:
    """Renew once a day and have the boxes read their new certificates, until cancelled."""
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        try:
            renewed = await asyncio.to_thread(renew, folder, chain)
        except Exception as error:  # a full disk, say: certificates last on, and the next look comes
            say(f"certificates were not renewed: {error}")
            continue
        await asyncio.gather(*map(reload, renewed))
        for box in renewed:
            say(f"{box} has a new certificate")


def _hosts(address: Address) -> list[str]:
    """Return the names and addresses that a server certificate vouches for."""
    names = ["localhost", "127.0.0.1", "::1", socket.gethostname() or "localhost"]
    if address.listen not in {"0.0.0.0", "::", *names}:
        names.append(address.listen)
    return list(dict.fromkeys(names))
