"""Address blocks that bind tokens and secret ids (vault.md 4.1)."""

import ipaddress
from collections.abc import Iterable

from strongroom.kms.domain.errors import Refused

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def within(address: str, blocks: Iterable[str]) -> bool:
    """Say whether an address lies in one of the blocks; no blocks, no limit."""
    blocks = list(blocks)
    if not blocks:
        return True
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return any(found in ipaddress.ip_network(block, strict=False) for block in blocks)


def contained(blocks: Iterable[str], outer: Iterable[str]) -> bool:
    """Say whether every block lies in one of the outer ones; no outer blocks, no limit."""
    bounds = [ipaddress.ip_network(block, strict=False) for block in outer]
    found = [ipaddress.ip_network(block, strict=False) for block in blocks]
    return not bounds or all(any(_lies_in(block, bound) for bound in bounds) for block in found)


def _lies_in(block: Network, bound: Network) -> bool:
    return block.version == bound.version and block.subnet_of(bound)  # type: ignore[arg-type]


def first_bad(blocks: Iterable[str]) -> str | None:
    """Return the first text that is not an address block `a/b`."""
    for block in blocks:
        try:
            if "/" not in block:
                raise ValueError
            ipaddress.ip_network(block, strict=False)
        except ValueError:
            return block
    return None


def token_blocks(blocks: Iterable[str]) -> list[str]:
    """Return blocks for a token, where a single address is welcome too; raise Refused."""
    found = []
    for block in blocks:
        try:
            network = ipaddress.ip_network(block, strict=False)
            found.append(str(network.network_address if network.num_addresses == 1 else network))
        except ValueError as error:
            raise Refused(
                f'error parsing address "{block}": Unable to convert "{block}" to an IPv4 or IPv6 address, '
                "or a UNIX Socket"
            ) from error
    return found
