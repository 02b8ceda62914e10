"""The whole chain on one machine: certificates, first start, supervised children. What `strongroom up` does."""
