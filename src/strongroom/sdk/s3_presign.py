"""URLs and forms that carry a signature: for people without keys (s3.md 3.2, 3.4)."""

import json
from collections.abc import Mapping
from datetime import timedelta

from strongroom.s3.wire import sigv4
from strongroom.sdk.s3_body import base64
from strongroom.sdk.s3_call import Caller, Query
from strongroom.sdk.s3_errors import make


def presigned(caller: Caller, method: str, bucket: str, key: str, query: Query, region: str, seconds: int) -> str:
    """Return a URL that is valid for so many seconds, for whoever has it."""
    who = caller.settings.credentials
    pool, path = caller.place(bucket, key)
    if not who.access_key:
        raise make("AccessDenied", "Presigned URLs cannot be generated with anonymous credentials.")
    stamp = caller.now().strftime(sigv4.AMZ_DATE)
    text = sigv4.presign(method, path, query, {"host": pool.origin.authority}, access_key=who.access_key,
                         key=caller.key(stamp[:8], region), region=region, amz_date=stamp, expires=seconds,
                         token=who.token)  # fmt: skip
    return caller.url(pool, path, text)


def post_form(caller: Caller, bucket: str, conditions: list[object], fields: Mapping[str, str], region: str,
              seconds: int) -> dict[str, str]:  # fmt: skip
    """Return a browser upload's form fields: a policy over conditions and fields, and its signature (s3.md 3.4)."""
    who, now = caller.settings.credentials, caller.now()
    stamp = now.strftime(sigv4.AMZ_DATE)
    credential = f"{who.access_key}/{sigv4.scope(stamp[:8], region)}"
    own = {"bucket": bucket, "x-amz-algorithm": sigv4.ALGORITHM, "x-amz-credential": credential, "x-amz-date": stamp}
    if who.token:
        own["x-amz-security-token"] = who.token
    rules = [*conditions, *(["eq", f"${name}", value] for name, value in {**own, **fields}.items())]
    until = (now + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    policy = base64(json.dumps({"expiration": until, "conditions": rules}, separators=(",", ":")).encode())
    seal = sigv4.signature(caller.key(stamp[:8], region), policy)
    return {**own, "policy": policy, "x-amz-signature": seal, **fields}
