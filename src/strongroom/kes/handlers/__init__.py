"""The awaits of the key server: key ring, watch over the store, one file of handlers per group of routes."""
