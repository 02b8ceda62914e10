"""What is misspelt in a configuration is refused: left out, it would remove or let through more than was meant."""

import pytest

from strongroom.s3.domain.lifecycle import DAY, State, abort_due, expiry
from strongroom.s3.domain.refusals import Refused
from strongroom.s3.handlers.delete import parse_delete
from strongroom.s3.wire import bucket_encryption, lifecycle_xml, public_access


def lifecycle(inner):
    rule = f"<Status>Enabled</Status>{inner}"
    return f"<LifecycleConfiguration><Rule>{rule}</Rule></LifecycleConfiguration>".encode()


DAYS = "<Expiration><Days>1</Days></Expiration>"
ABORT = "<AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload>"
TAG = "<Tag><Key>a</Key><Value>b</Value></Tag>"


@pytest.mark.parametrize(
    ("inner", "code"),
    [
        (f"<Filter><Prefix>a</Prefix></Filter>{DAYS}", ""),
        (f"<Filter/>{DAYS}", ""),
        (f"<Prefix>a</Prefix>{DAYS}", ""),
        (f"<Filter><And><Prefix>a</Prefix>{TAG}<ObjectSizeLessThan>9</ObjectSizeLessThan></And></Filter>{DAYS}", ""),
        (f"<Filter><And>{TAG}<Tag><Key>c</Key><Value/></Tag></And></Filter>{DAYS}", ""),
        (f"<Filter><prefix>a</prefix></Filter>{DAYS}", "MalformedXML"),
        (f"<filter><Prefix>a</Prefix></filter>{DAYS}", "MalformedXML"),
        (f"<Filters><Prefix>a</Prefix></Filters>{DAYS}", "MalformedXML"),
        (f"<Filter><Tags>{TAG}</Tags></Filter>{DAYS}", "MalformedXML"),
        (f"<Filter><Tag><Name>a</Name><Value>b</Value></Tag></Filter>{DAYS}", "MalformedXML"),
        (f"<Filter><Tag><Key>a</Key></Tag></Filter>{DAYS}", "MalformedXML"),
        (f"<Filter><Prefix>a</Prefix><And>{TAG}</And></Filter>{DAYS}", "MalformedXML"),
        (f"<Filter><Prefix>a</Prefix><Prefix>b</Prefix></Filter>{DAYS}", "MalformedXML"),
        (f"<Filter><And>{TAG}</And><And><Prefix>a</Prefix></And></Filter>{DAYS}", "MalformedXML"),
        (f"<Filter><Prefix>a</Prefix></Filter><Filter/>{DAYS}", "MalformedXML"),
        (f"{DAYS}{DAYS}", "MalformedXML"),
        ("<Expiration><Days>1</Days><Days>100</Days></Expiration>", "MalformedXML"),
        ("<Expiration><Day>1</Day></Expiration>", "MalformedXML"),
        ("<NoncurrentVersionExpiration><Days>1</Days></NoncurrentVersionExpiration>", "MalformedXML"),
        (f"<DelMarkerExpiration><Days>1</Days></DelMarkerExpiration>{DAYS}", "NotImplemented"),
        (
            "<Expiration><Days>1</Days><ExpiredObjectAllVersions>true</ExpiredObjectAllVersions></Expiration>",
            "NotImplemented",
        ),
        (
            "<Transition><Days>1</Days></Transition><Transition><Days>2</Days></Transition>",
            "NotImplemented",
        ),
        (f"<Filter><Prefix>a</Prefix></Filter>{ABORT}", ""),
        (f"<Filter>{TAG}</Filter>{ABORT}", "InvalidRequest"),  # it would abort those of all keys
        (f"<Filter><And><Prefix>a</Prefix>{TAG}</And></Filter>{DAYS}{ABORT}", "InvalidRequest"),
        (f"<Filter><ObjectSizeGreaterThan>9</ObjectSizeGreaterThan></Filter>{ABORT}", "InvalidRequest"),
    ],
)
def test_lifecycle(inner, code):
    if not code:
        assert lifecycle_xml.named(lifecycle(inner))
        return
    with pytest.raises(Refused) as caught:
        lifecycle_xml.named(lifecycle(inner))
    assert caught.value.code == code


def test_a_rule_of_before_aborts_no_more_than_it_says():
    """Such a configuration may be stored: its other actions go on."""
    (rule,) = lifecycle_xml.stored(lifecycle(f"<Filter>{TAG}</Filter>{DAYS}{ABORT}"))
    assert not abort_due([rule], "k", 0, 100 * DAY)
    assert expiry([rule], State("k", "null", 0, 1, {"a": "b"}, False)) is not None


@pytest.mark.parametrize("name", ["BlockPublicACLs", "blockPublicAcls", "Block"])
def test_public_access(name):
    with pytest.raises(Refused, match="MalformedXML"):
        public_access.render(
            f"<PublicAccessBlockConfiguration><{name}>true</{name}></PublicAccessBlockConfiguration>".encode()
        )


@pytest.mark.parametrize(
    "inner",
    [
        "<BlockedEncryption><EncryptionType>SSE-C</EncryptionType></BlockedEncryption>",
        "<Filter><prefix>a</prefix></Filter>",
        "<Filter><Prefix>a</Prefix></Filter><Filter><Prefix>b</Prefix></Filter>",
    ],
)
def test_encryption(inner):
    default = (
        "<ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault>"
    )
    body = f"<ServerSideEncryptionConfiguration><Rule>{default}{inner}</Rule></ServerSideEncryptionConfiguration>"
    with pytest.raises(Refused) as caught:
        bucket_encryption.parse(body.encode())
    assert caught.value.code == "MalformedXML"


@pytest.mark.parametrize("entry", ["<Key>k</Key><VersionID>x</VersionID>", "<Key>k</Key><Etag>e</Etag>"])
def test_deletes(entry):
    with pytest.raises(Refused) as caught:
        parse_delete(f"<Delete><Object>{entry}</Object></Delete>".encode())
    assert caught.value.code == "MalformedXML"
