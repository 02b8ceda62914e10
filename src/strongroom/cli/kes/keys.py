"""`kes key create|import|info|ls|rm|encrypt|decrypt|dek` (kes.md 10.2)."""

import base64
import binascii
import json
import os
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from strongroom.cli.kes.connect import run, terminal
from strongroom.cli.kes.flags import COLOR, ENCLAVE, INSECURE, JSON, Command, Failed, Flag, Parsed
from strongroom.errors import Error

if TYPE_CHECKING:
    from strongroom.sdk.kes import KesClient

LABEL = 11  # width of labels in `info`


def each(parsed: Parsed, words: str, work: Callable[["KesClient", str], Awaitable[None]]) -> int:
    """Do work for each named key, stopping at the first failure; words go into the message."""
    parsed.at_least(1, "key name")

    async def all_of_them(kes: "KesClient") -> None:
        for name in parsed.words:
            try:
                await work(kes, name)
            except Error as error:
                raise Failed(f'failed to {words} "{name}": {error}') from error

    run(all_of_them, insecure=parsed.on("insecure"))
    return 0


def decode(parsed: Parsed, text: str, what: str) -> bytes:
    """Read base64 from the command line; raise Usage in the words of Go's decoder."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        from strongroom.kes.wire.apikey import bad_base64

        raise parsed.usage(f"invalid {what}: {bad_base64(text)}") from error


def create(parsed: Parsed) -> int:
    """Create keys; a second argument that is a key imports it, as in 2020 (kes.md 10.3)."""
    if len(parsed.words) == 2 and _is_a_key(parsed.words[1]):
        return import_key(parsed)

    async def one(kes: "KesClient", name: str) -> None:
        if parsed.on("force"):
            await kes.recreate(name)
        else:
            await kes.create(name)
        _done(parsed, name)

    return each(parsed, "create key", one)


def _is_a_key(text: str) -> bool:
    """Say whether text is 32 bytes in base64, which end in `=`: no key's name does."""
    try:
        return text.endswith("=") and len(base64.b64decode(text, validate=True)) == 32
    except (binascii.Error, ValueError):
        return False


def import_key(parsed: Parsed) -> int:
    """Create a key from given bytes."""
    parsed.at_least(1, "key name")
    parsed.at_least(2, "crypto key")
    parsed.at_most(2)
    name, key = parsed.words[0], decode(parsed, parsed.words[1], "key")

    async def work(kes: "KesClient") -> None:
        try:
            await kes.import_key(name, key)
        except Error as error:
            raise Failed(f'failed to import "{name}": {error}') from error
        _done(parsed, name)

    run(work, insecure=parsed.on("insecure"))
    return 0


def info(parsed: Parsed) -> int:
    """Print what is known about a key."""
    name = parsed.one("key name")

    async def work(kes: "KesClient") -> int:
        try:
            key = await kes.describe(name)
        except Error as error:
            raise Failed(f"failed to describe keys: {error}") from error
        if parsed.on("json"):
            document = {"name": key.name, "algorithm": key.algorithm, "created_at": key.created_at}
            if key.algorithm == "AES256":
                del document["algorithm"]  # the SDK's encoding leaves its first cipher out
            if key.created_by:
                document["created_by"] = key.created_by
            print(json.dumps(document, separators=(",", ":")))
            return 0
        date = key.created_at[:19].replace("T", " ")
        rows = (("Name", key.name), ("Algorithm", key.algorithm), ("Date", date), ("Owner", key.created_by))
        print("\n".join(f"{label:<{LABEL}} {value}" for label, value in rows), end="")
        return 0

    return run(work, insecure=parsed.on("insecure"))


def print_names(names: list[str], heading: str, *, as_json: bool, both: bool = True, color: str = "auto") -> None:
    """Print a list; both prints the table behind the JSON, as the original's `key ls` does. color: as in `--color`."""
    if as_json:
        print(json.dumps(names, separators=(",", ":")) if names else "null")
        if not both:
            return
    if names:
        underlined = color == "always" or (color == "auto" and sys.stdout.isatty())
        print(f"\x1b[4m{heading}\x1b[0m" if underlined else heading)
        print("\n".join(names))


def ls(parsed: Parsed) -> int:
    """List the keys that a pattern selects; `--long` adds versions and states."""
    parsed.at_most(1)
    pattern = parsed.words[0] if parsed.words else "*"

    async def work(kes: "KesClient") -> int:
        try:
            if parsed.on("long"):
                from strongroom.cli.kes.states import print_states

                print_states(await kes.lifecycle_list(pattern), as_json=parsed.on("json"))
                return 0
            names = await kes.keys(pattern)
        except Error as error:
            raise Failed(f"failed to list keys: {error}") from error
        print_names(names, "Key", as_json=parsed.on("json"), color=parsed["color"])
        return 0

    return run(work, insecure=parsed.on("insecure"))


def rm(parsed: Parsed) -> int:
    """Delete keys for ever."""

    async def one(kes: "KesClient", name: str) -> None:
        await kes.delete(name)
        _done(parsed, name)

    return each(parsed, "remove key", one)


def _done(parsed: Parsed, name: str) -> None:
    """Print what was done as JSON, if asked for; the original prints nothing."""
    if parsed.on("json"):
        print(json.dumps({"name": name}, separators=(",", ":")))


def _show(values: dict[str, bytes], parsed: Parsed) -> None:
    texts = {name: base64.b64encode(value).decode() for name, value in values.items()}
    if terminal() and not parsed.on("json"):
        width = max(map(len, texts)) + 1
        print("\n" + "\n".join(f"{name + ':':<{width}} {text}" for name, text in texts.items()))
    else:
        print(json.dumps(texts, separators=(",", ":")), end="")


def encrypt(parsed: Parsed) -> int:
    """Encrypt a text."""
    parsed.at_least(1, "key name")
    parsed.at_least(2, "message")
    parsed.at_most(2)

    async def work(kes: "KesClient") -> int:
        try:
            _show({"ciphertext": await kes.encrypt(parsed.words[0], os.fsencode(parsed.words[1]))}, parsed)
        except Error as error:
            raise Failed(f"failed to encrypt message: {error}") from error
        return 0

    return run(work, insecure=parsed.on("insecure"))


def decrypt(parsed: Parsed) -> int:
    """Decrypt a ciphertext."""
    parsed.at_least(1, "key name")
    parsed.at_least(2, "ciphertext")
    parsed.at_most(3)
    ciphertext = decode(parsed, parsed.words[1], "ciphertext")
    context = decode(parsed, parsed.words[2], "context") if len(parsed.words) > 2 else b""

    async def work(kes: "KesClient") -> int:
        try:
            _show({"plaintext": (await kes.decrypt(parsed.words[0], ciphertext, context)).plaintext}, parsed)
        except Error as error:
            raise Failed(f"failed to decrypt ciphertext: {error}") from error
        return 0

    return run(work, insecure=parsed.on("insecure"))


def dek(parsed: Parsed) -> int:
    """Make a data key."""
    parsed.at_least(1, "key name")
    parsed.at_most(2)
    context = decode(parsed, parsed.words[1], "context") if len(parsed.words) > 1 else b""

    async def work(kes: "KesClient") -> int:
        try:
            key = await kes.generate(parsed.words[0], context)
        except Error as error:
            raise Failed(f"failed to derive key: {error}") from error
        _show({"plaintext": key.plaintext, "ciphertext": key.ciphertext}, parsed)
        return 0

    return run(work, insecure=parsed.on("insecure"))


_COMMON = (INSECURE, ENCLAVE, JSON)
CREATE = Command(
    "NAME...",
    "Create keys. As in 2020, `NAME KEY` imports 32 bytes in base64.",
    (*_COMMON, Flag("force", switch=True, help="Create a key under the name of a deleted one")),
    create,
)
IMPORT = Command("NAME KEY", "Create a key from 32 bytes in base64.", _COMMON, import_key)
INFO = Command("NAME", "Print a key's algorithm, age and owner.", (*_COMMON, COLOR), info)
LS = Command(
    "[PATTERN]",
    "List keys.",
    (*_COMMON, COLOR, Flag("long", "l", switch=True, help="With versions, states, fingerprints, last use")),
    ls,
)
RM = Command("NAME...", "Delete keys for ever. `key delete --after 7d` can be taken back.", _COMMON, rm)
ENCRYPT = Command("NAME MESSAGE", "Encrypt a text.", _COMMON, encrypt)
DECRYPT = Command("NAME CIPHERTEXT [CONTEXT]", "Decrypt a ciphertext, base64.", _COMMON, decrypt)
DEK = Command("NAME [CONTEXT]", "Make a data key.", _COMMON, dek)
