"""Adapters that wait on others: outside seals, audit sinks, a Kubernetes API."""
