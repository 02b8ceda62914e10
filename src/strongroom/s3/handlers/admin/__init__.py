"""The admin API: what operators and `mc admin` call (sse.md 12, mc.md 10)."""
