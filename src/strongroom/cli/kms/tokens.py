"""The token between two calls: a file of mode 0600, or a helper program of the user's (vault.md 9.4)."""

import os
import re
from pathlib import Path

from strongroom.cli.kms.brand import Brand
from strongroom.cli.kms.faults import Fault
from strongroom.cli.kms.settings import Environment

_HELPER = re.compile(r"^\s*\"?token_helper\"?\s*[=:]\s*\"((?:[^\"\\]|\\.)*)\"", re.MULTILINE)
_HELPER_SECONDS = 30


class TokenStore:
    """Reads, keeps and forgets one token."""

    def __init__(self, environment: Environment, brand: Brand) -> None:
        self._environment = environment
        self._program = brand.program

    def load(self) -> str:
        """Return the kept token, or an empty text when there is none."""
        helper = self._helper()
        if helper:
            return self._ask(helper, "get").strip()
        try:
            return self._path().read_text("utf-8").strip()
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError) as error:
            raise Fault(f"Error reading the token file {self._path()}: {error}") from None

    def save(self, token: str) -> None:
        """Keep the token; the file appears with all its bytes and mode 0600, or not at all."""
        helper = self._helper()
        if helper:
            self._ask(helper, "store", token)
            return
        path = self._path()
        temporary = path.with_name(path.name + ".tmp")
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                os.fchmod(file.fileno(), 0o600)
                file.write(token)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError as error:
            raise Fault(f"Error storing the token in {path}: {error.strerror}") from None

    def erase(self) -> None:
        """Forget the token; none there is not an error."""
        helper = self._helper()
        if helper:
            self._ask(helper, "erase")
            return
        self._path().unlink(missing_ok=True)

    def _path(self) -> Path:
        return Path(self._environment.get("TOKEN_PATH") or self._environment.home() / ".vault-token")

    def _helper(self) -> str:
        """Return the program that the configuration file names: ~/.bao for bao, ~/.vault otherwise."""
        default = self._environment.home() / (".bao" if self._program == "bao" else ".vault")
        path = Path(self._environment.get("CONFIG_PATH") or default)
        try:
            found = _HELPER.search(path.read_text("utf-8"))
        except (OSError, UnicodeDecodeError):
            return ""
        return re.sub(r"\\(.)", r"\1", found[1]) if found else ""

    def _ask(self, helper: str, word: str, token: str = "") -> str:
        import subprocess  # here, because most calls have no helper

        try:
            done = subprocess.run(  # noqa: S603 - the user's own configuration names the program
                [os.path.expanduser(helper), word],
                input=token,
                capture_output=True,
                text=True,
                timeout=_HELPER_SECONDS,
                check=True,
            )
        except subprocess.CalledProcessError as error:
            raise Fault(f"Error: the token helper {helper} {word} failed: {str(error.stderr).strip()}") from None
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Fault(f"Error running the token helper {helper}: {error}") from None
        return done.stdout
