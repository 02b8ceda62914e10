"""`strongroom s3 import SOURCE [TARGET]`: move in from another server. The aliases are mc's."""


def main(words: list[str], name: str) -> int:
    """Run; return the exit code."""
    from strongroom.cli.mc.main import main as mc

    return mc(["import", *words], "mc")
