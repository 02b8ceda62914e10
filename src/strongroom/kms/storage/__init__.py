"""Durable entries of the kms: memory, SQLite, PostgreSQL; every kind passes tests/contract/test_kms_entry_store.py."""
