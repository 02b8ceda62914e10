"""The command line for people, in place of `mc` (docs/reference/mc.md). Import nothing here: start-up time counts."""
