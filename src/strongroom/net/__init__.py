"""HTTP/1.1 connections, TLS, the HTTP client and time-outs: all that waits on a network."""
