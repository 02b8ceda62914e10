"""The document that `mc batch generate ALIAS keyrotate` prints (sse.md 15), the same in server and client."""

KEYROTATE = """keyrotate:
  apiVersion: v1
  bucket: BUCKET
  prefix: PREFIX
  encryption:
    type: sse-kms              # sse-s3 or sse-kms
    key: KEY                   # of sse-kms: the key that objects shall be under
    # context: BASE64          # optional JSON, base64
  flags:
    filter:                    # all of them must match; leave out what does not matter
      # newerThan: "168h"      # objects younger than this
      # olderThan: "168h"      # objects older than this
      # createdAfter: "2025-01-31T12:00:00Z"
      # createdBefore: "2025-01-31T12:00:00Z"
      # tags:
      #   - key: "name"
      #     value: "pick*"
      # metadata:
      #   - key: "content-type"
      #     value: "image/*"
      # kmskey: "OLD-KEY"      # only objects under this key
    # plaintextOnly: true      # encrypt plain objects where they lie (not in the original)
    # perSecond: 500           # objects at most (not in the original)
    # notify:
    #   endpoint: "https://example.org/done"
    #   token: "Bearer TOKEN"
    retry:
      attempts: 10
      delay: "500ms"
"""
