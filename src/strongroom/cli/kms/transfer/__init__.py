"""Copies what a Vault or OpenBao holds into this kms, over the API of both."""
