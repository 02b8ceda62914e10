"""Whose name the command line speaks with: it is called as vault, as bao or as `strongroom kms`.

Source: tests/vectors/kms/README.md, section cli.json, and vault.md 16.
"""

from dataclasses import dataclass

from strongroom import __version__

COMPATIBLE_VAULT = "1.15.6"  # the Vault whose command line and API we answer as; hvac's tests read it (vault.md 10.1)
COMPATIBLE_OPENBAO = "2.7.2"  # the OpenBao that the transcripts were recorded from
RELEASED = "2026-11-24T00:00:00Z"


@dataclass(frozen=True, slots=True)
class Brand:
    """One program name and the words that go with it."""

    program: str  # as in `See "vault operator rekey"`
    product: str  # as in "warnings were returned from Vault"
    prefixes: tuple[str, ...]  # environment variables, first found wins (vault.md 9.4)
    date_key: str  # the member of seal-status that `status` shows
    date_label: str
    rekey: str  # the sub-command that makes new unseal keys
    rotate_path: str  # adds a barrier key
    generate_root: tuple[str, ...]  # routes to try in turn: a server may have only one (vault.md 2.12)
    version: str

    @property
    def variable(self) -> str:
        """Return the prefix that messages name, such as BAO."""
        return self.prefixes[0]


_LEGACY, _AUTHENTICATED = "sys/generate-root", "sys/generate-root-token"

_VAULT = Brand(
    program="vault",
    product="Vault",
    prefixes=("VAULT",),
    date_key="build_date",
    date_label="Build Date",
    rekey="rekey",
    rotate_path="sys/rotate",
    generate_root=(_LEGACY, _AUTHENTICATED),
    version=f"Vault v{COMPATIBLE_VAULT} (strongroom {__version__}), built {RELEASED}",
)

_BAO = Brand(
    program="bao",
    product="OpenBao",
    prefixes=("BAO", "VAULT"),
    date_key="commit_date",
    date_label="Commit Date",
    rekey="rotate-keys",
    rotate_path="sys/rotate/keyring",
    generate_root=(_AUTHENTICATED, _LEGACY),
    version=f"OpenBao v{COMPATIBLE_OPENBAO} (strongroom {__version__}), committed {RELEASED}",
)


def brand(name: str) -> Brand:
    """Return the words for a program name; any other than vault and bao speaks as Strongroom."""
    if name == "bao":
        return _BAO
    if name == "vault":
        return _VAULT
    return Brand(
        program=name,
        product="Strongroom",
        prefixes=("VAULT", "BAO"),
        date_key=_VAULT.date_key,
        date_label=_VAULT.date_label,
        rekey=_VAULT.rekey,
        rotate_path=_VAULT.rotate_path,
        generate_root=_VAULT.generate_root,
        version=f"Strongroom v{__version__} (answers as Vault v{COMPATIBLE_VAULT})",
    )
