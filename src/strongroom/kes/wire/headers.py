"""Names of the response headers that our server adds, lower case. An original KES sends none of them."""

VERSION = "strongroom-key-version"  # which version of the key sealed or opened
FINGERPRINT = "strongroom-key-fingerprint"  # of that version, 32 hexadecimal digits
GENERATION = "strongroom-generation"  # the state of all keys that the answer was made under
OFFLINE_UNTIL = "strongroom-offline-until"  # with a 504 of /v1/ready: until when cached keys are served
