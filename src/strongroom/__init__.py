"""Strongroom: an object store that keeps everything encrypted, with the two key servers it needs."""

__version__ = "0.1.0"
