"""mc alias: names for servers (mc.md 3.4), and the older `config host`."""

import json
import secrets
import string
import sys
from dataclasses import replace
from pathlib import Path

from strongroom.cli.mc.aliases import Alias, check_keys, check_name, check_url
from strongroom.cli.mc.console import dumps
from strongroom.cli.mc.failures import INVALID, Fatal, no_alias
from strongroom.cli.mc.first_use import offered
from strongroom.cli.mc.flags import Line
from strongroom.cli.mc.shell import Shell
from strongroom.errors import Denied, Error, NotFound
from strongroom.sdk.s3 import Client
from strongroom.sdk.s3_errors import S3Error

APIS, PATHS = ("S3v4", "S3v2"), ("auto", "on", "off", "dns")
LABELS = (("URL", "URL", "yellow"), ("AccessKey", "accessKey", "cyan"), ("SecretKey", "secretKey", "cyan"),
          ("API", "api", "blue"), ("Path", "path", "cyan"), ("Src", "src", "cyan"))  # fmt: skip


def set_(shell: Shell, line: Line) -> None:
    """mc alias set ALIAS URL [ACCESSKEY SECRETKEY]."""
    if len(line.args) not in {2, 4}:
        raise Fatal("Incorrect number of arguments for alias set command.", INVALID)
    name = line.args[0].rstrip("/\\")
    check_name(name)
    url = check_url(line.args[1])
    api, path = line.text("api"), line.text("path", "auto")
    if api and api.lower() not in {each.lower() for each in APIS}:
        raise Fatal("Unrecognized API signature. Valid options are `[S3v4, S3v2]`.", INVALID)
    if path not in PATHS:
        raise Fatal("Unrecognized path value. Valid options are `[auto, on, off]`.", INVALID)
    access, secret = line.args[2:] if len(line.args) == 4 else _asked(shell)
    check_keys(access, secret)
    alias = Alias(name, url, access, secret, api=api, path=path)
    if not api:
        alias = _probed(shell, alias)
    kept = alias if alias.access_key or api else replace(alias, api="")  # nothing is signed: no version is kept
    shell.store.put(kept)
    shell.console.say(alias.shown(), f"Added `{name}` successfully.", "ok")


def _asked(shell: Shell) -> tuple[str, str]:
    return shell.ask("Enter Access Key: "), shell.ask("Enter Secret Key: ", secret=True)


def _probed(shell: Shell, alias: Alias) -> Alias:
    """Find the signature version that the server takes, with a bucket that nobody has (mc.md 3.4)."""
    probe = "probe-bsign-" + "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(30))
    last: Error | None = None
    for api in ("s3v4", "s3v2"):
        tried = Alias(alias.name, alias.url, alias.access_key, alias.secret_key, api=api, path=alias.path)
        client = Client(shell.settings(tried))
        try:
            client.region(probe)
            client.head_bucket(probe)
        except (NotFound, Denied) as error:
            if isinstance(error, S3Error) and error.code in {"SignatureDoesNotMatch", "InvalidAccessKeyId"}:
                last = last or error
                continue
        except Error as error:
            if offered(shell, alias, error):
                return _probed(shell, alias)
            last = last or error
            break
        finally:
            client.close()
        return tried
    raise Fatal("Unable to initialize new alias from the provided credentials.", last or "")


def list_(shell: Shell, line: Line) -> None:
    """mc alias list [ALIAS]."""
    found = shell.store.all()
    wanted = line.args[0].rstrip("/\\") if line.args else ""
    if wanted:
        found = [alias for alias in found if alias.name == wanted]
        if not found:
            raise Fatal(f"No such alias `{wanted}` found.", no_alias(wanted))
    wide = max((len(alias.name) for alias in found), default=0)
    for alias in found:
        shown = alias.shown()
        paint = shell.console.paint
        lines = [paint(alias.name.ljust(wide), "title")]
        lines += [paint(f"  {label:<9} : {shown.get(member, '')}", style) for label, member, style in LABELS]
        if shell.console.terminal and not wanted:
            lines.append("")
        shell.console.say(shown, "\n".join(lines))


def remove(shell: Shell, line: Line) -> None:
    """mc alias remove ALIAS."""
    name = line.args[0].rstrip("/\\")
    check_name(name)
    if not shell.store.remove(name):
        raise Fatal(f"No such alias `{name}` found.", no_alias(name))
    shell.console.say({"status": "success", "alias": name, "URL": ""}, f"Removed `{name}` successfully.", "ok")


def export(shell: Shell, line: Line) -> None:
    """mc alias export ALIAS."""
    name = line.args[0].rstrip("/\\")
    alias = shell.store.find(name)
    if alias is None:
        raise Fatal(f"No such alias `{name}` found.", no_alias(name))
    shell.console.line(dumps(alias.stored()))


def import_(shell: Shell, line: Line) -> None:
    """mc alias import ALIAS [FILE]."""
    name = line.args[0].rstrip("/\\")
    check_name(name)
    source = line.args[1] if len(line.args) > 1 else "-"
    try:
        text = sys.stdin.read() if source == "-" else Path(source).read_text("utf-8")
        members = json.loads(text)
        kept = {str(key): str(value) for key, value in members.items()}
    except (OSError, ValueError, AttributeError) as error:
        raise Fatal("Unable to parse credentials", error) from error
    url = check_url(kept.get("url", ""))
    check_keys(kept.get("accessKey", ""), kept.get("secretKey", ""))
    alias = Alias(name, url, kept.get("accessKey", ""), kept.get("secretKey", ""), kept.get("sessionToken", ""),
                  kept.get("api", "S3v4"), kept.get("path", "auto"))  # fmt: skip
    shell.store.put(alias)
    shell.console.say(alias.shown(), f"Imported `{name}` successfully.", "ok")
