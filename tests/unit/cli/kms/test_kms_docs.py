from pathlib import Path

from strongroom.cli.kms.registry import COMMANDS, UNSUPPORTED

REFERENCE = Path(__file__).resolve().parents[4] / "docs" / "reference" / "kms-cli.md"


def test_every_command_is_in_the_reference() -> None:
    text = REFERENCE.read_text()
    for name, (_, about) in COMMANDS.items():
        assert f"| `{name}` | {about} |" in text


def test_what_is_not_supported_is_in_the_reference() -> None:
    text = REFERENCE.read_text()
    for name in UNSUPPORTED:
        assert name.split()[-1] in text or name.startswith("operator raft")
