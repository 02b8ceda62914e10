"""Transit: keys that never leave, and what is done with them (vault.md 6). Values in, values out."""
