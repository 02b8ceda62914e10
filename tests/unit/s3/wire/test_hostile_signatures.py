"""Nobody without a key gets more than a refusal: no internal error, no memory kept, no header smuggled in."""

import time

import pytest

from strongroom.messages import Peer, Request
from strongroom.s3.domain.principals import Credential
from strongroom.s3.domain.refusals import Refused
from strongroom.s3.wire import claims, sigv2, sigv4
from strongroom.s3.wire.authenticate import Verifier

NOW = time.time()
TIME = time.strftime(sigv4.AMZ_DATE, time.gmtime(NOW))
DAY = TIME[:8]
SCOPE = f"{DAY}%2Fus-east-1%2Fs3%2Faws4_request"
V4 = (
    f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=minio%2F{SCOPE}&X-Amz-Date={TIME}"
    "&X-Amz-SignedHeaders=host&X-Amz-Expires=60"
)
V2 = "AWSAccessKeyId=minio&Expires=99999999999"
HEADER = f"AWS4-HMAC-SHA256 Credential=minio/{DAY}/us-east-1/s3/aws4_request, SignedHeaders=host, Signature={'0' * 64}"


class RootOnly:
    """A directory that knows the root user alone."""

    def __init__(self, root):
        self.root = root

    def find(self, access_key):
        """Return the root credential for its own name."""
        return self.root if access_key == self.root.access_key else None


def verifier():
    return Verifier(RootOnly(Credential("minio", "minio123", root=True)))


def verify(query="", headers=(), method="GET", checker=None):
    headers = {"host": "h", **dict(headers)}
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    request = Request(method, "/b/k?" + query, "/b/k", query, headers, raw, Peer("127.0.0.1", 1))
    return (checker or verifier()).verify(request, sigv4.parse_query(query), NOW)


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        (V4 + "&X-Amz-Signature=%FF", {}),
        (V4 + "&X-Amz-Signature=00&X-Amz-Security-Token=%FF", {}),
        (V4.replace("us-east-1", "%FF") + "&X-Amz-Signature=00", {}),
        (V4.replace("minio", "%FF") + "&X-Amz-Signature=00", {}),
        (V4.replace("SignedHeaders=host", "SignedHeaders=host;%FF") + "&X-Amz-Signature=00", {}),
        (V2 + "&Signature=%FF", {}),
        (V2 + "&Signature=aa&x-amz-security-token=%FF", {}),
        ("", {"authorization": HEADER, "date": "Mon, 1 Jan 99999999999999999999 00:00:00 GMT"}),
        ("", {"authorization": HEADER, "date": "Mon, 1 Jan 2020 00:00:00 +99999999999999999999999"}),
        ("", {"authorization": HEADER + "\xff", "x-amz-date": TIME}),
    ],
)
def test_what_is_no_text_is_refused(query, headers):
    with pytest.raises(Refused):
        verify(query, headers)


def test_long_claims_are_not_remembered():
    checker = verifier()
    before = claims._claim_of.cache_info().currsize, claims._date_of.cache_info().currsize
    for number in range(10):
        region = f"{number}" * 100
        with pytest.raises(Refused):
            verify(V4.replace("us-east-1", region) + "&X-Amz-Signature=00", checker=checker)
        with pytest.raises(Refused):
            verify("", {"authorization": HEADER.replace("minio", region * 30), "x-amz-date": TIME}, checker=checker)
        with pytest.raises(Refused):
            verify("", {"authorization": HEADER, "date": region}, checker=checker)
    assert not checker.keys._keys
    after = claims._claim_of.cache_info().currsize, claims._date_of.cache_info().currsize
    assert after[0] == before[0]
    assert after[1] <= before[1] + 1  # x-amz-date itself


def test_a_presigned_url_is_not_made_to_do_more_by_a_header():
    key = sigv4.signing_key("minio123", DAY, "us-east-1")
    query = sigv4.presign(
        "DELETE", "/b/k", (), {"host": "h"}, access_key="minio", key=key, region="us-east-1", amz_date=TIME, expires=60
    )
    assert verify(query, method="DELETE").principal.root
    with pytest.raises(Refused):
        verify(query, {"x-minio-force-delete": "true"}, "DELETE")
    text = sigv2.string_to_sign("DELETE", {}, "/b/k", "99999999999")
    query = f"{V2}&Signature={sigv4.encode(sigv2.signature('minio123', text))}"
    assert verify(query, method="DELETE").principal.root
    with pytest.raises(Refused):
        verify(query, {"x-minio-force-delete": "true"}, "DELETE")
