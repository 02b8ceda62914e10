"""`kes update`, which is not served: a program that replaces itself is what packages are for."""

from strongroom.cli.kes.flags import INSECURE, Command, Flag, Parsed
from strongroom.errors import NotSupported


def update(parsed: Parsed) -> int:
    """Say what to use instead; raise NotSupported."""
    raise NotSupported("kes update is not supported: install another release with `pip install --upgrade strongroom`")


UPDATE = Command(
    "[VERSION]",
    "Not supported: another release is installed with `pip install --upgrade strongroom`.",
    (
        INSECURE,
        Flag("downgrade", "d", switch=True, help="Not supported"),
        Flag("output", "o", help="Not supported"),
        Flag("os", help="Not supported"),
        Flag("arch", help="Not supported"),
        Flag("minisign-key", help="Not supported"),
    ),
    update,
)
