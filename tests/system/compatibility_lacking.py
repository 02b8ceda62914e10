"""What MinIO or AWS have and we do not: a request that asks for each."""

import base64
import hashlib
import re
from dataclasses import dataclass, field

import urllib3
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials


@dataclass
class Session:
    """Signs and sends requests that boto3 has no method for."""

    port: int
    ca: str

    def send(self, method, path, headers, body, service="s3"):
        url = f"https://localhost:{self.port}{path}"
        signed = AWSRequest(method, url, data=body, headers=dict(headers))
        signed.headers["Content-MD5"] = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
        S3SigV4Auth(Credentials("rootuser", "rootpassword"), service, "us-east-1").add_auth(signed)
        pool = urllib3.PoolManager(ca_certs=self.ca)
        answer = pool.request(method, url, body=body, headers=dict(signed.headers), retries=False)
        code = re.search(rb"<Code>(.*?)</Code>|\"Code\":\"(.*?)\"", answer.data)
        return answer.status, (code[1] or code[2]).decode() if code else ""


@dataclass
class Lack:
    """Something of MinIO or AWS that we do not have, and a request that asks for it."""

    what: str
    shown: str
    method: str
    path: str
    headers: dict = field(default_factory=dict)
    body: bytes = b""
    service: str = "s3"

    def send(self, session):
        status, code = session.send(self.method, self.path, self.headers, self.body, self.service)
        return f"{status} `{code}`"


FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def _federated(action):
    return {"method": "POST", "path": "/", "headers": FORM, "service": "sts",
            "body": f"Action={action}&Version=2011-06-15&WebIdentityToken=x".encode()}  # fmt: skip


REPLICATION = (
    b"<ReplicationConfiguration><Role>r</Role><Rule><ID>a</ID><Status>Enabled</Status><Priority>1</Priority>"
    b"<DeleteMarkerReplication><Status>Disabled</Status></DeleteMarkerReplication><Filter><Prefix/></Filter>"
    b"<Destination><Bucket>arn:aws:s3:::x</Bucket></Destination></Rule></ReplicationConfiguration>"
)
TRANSITION = (
    b"<LifecycleConfiguration><Rule><ID>a</ID><Status>Enabled</Status><Filter><Prefix>a</Prefix></Filter>"
    b"<Transition><Days>1</Days><StorageClass>GLACIER</StorageClass></Transition></Rule></LifecycleConfiguration>"
)
MFA = b"<VersioningConfiguration><Status>Enabled</Status><MfaDelete>Enabled</MfaDelete></VersioningConfiguration>"
LACKS = [
    Lack("replication", "`PUT ?replication`", "PUT", "/compat?replication", body=REPLICATION),
    Lack("site replication", "`mc admin replicate`", "GET", "/minio/admin/v3/site-replication/info"),
    Lack("remote targets", "`mc replicate`", "GET", "/minio/admin/v3/list-remote-targets?bucket=compat"),
    Lack("tiering by lifecycle", "`Transition`", "PUT", "/compat?lifecycle", body=TRANSITION),
    Lack("tiers", "`mc ilm tier`", "GET", "/minio/admin/v3/tier"),
    Lack("storage classes of archives", "`x-amz-storage-class: GLACIER`", "PUT", "/compat/g",
         {"x-amz-storage-class": "GLACIER"}),
    Lack("restoring archived objects", "`POST ?restore`", "POST", "/compat/k?restore"),
    Lack("S3 Select", "`POST ?select&select-type=2`", "POST", "/compat/k?select&select-type=2"),
    Lack("Snowball archives", "`x-amz-meta-snowball-auto-extract`", "PUT", "/compat/k",
         {"x-amz-meta-snowball-auto-extract": "true"}, b"x"),
    Lack("appending", "`x-amz-write-offset-bytes`", "PUT", "/compat/k", {"x-amz-write-offset-bytes": "1"}, b"x"),
    Lack("Object Lambda", "`GET ?lambdaArn=`", "GET", "/compat/k?lambdaArn=x"),
    Lack("MFA delete", "`<MfaDelete>Enabled`", "PUT", "/compat?versioning", body=MFA),
    Lack("websites", "`PUT ?website`", "PUT", "/compat?website", body=b"<WebsiteConfiguration/>"),
    Lack("transfer acceleration", "`PUT ?accelerate`", "PUT", "/compat?accelerate", body=b"<AccelerateConfiguration/>"),
    Lack("OpenID Connect", "AssumeRoleWithWebIdentity", **_federated("AssumeRoleWithWebIdentity")),
    Lack("LDAP", "AssumeRoleWithLDAPIdentity", **_federated("AssumeRoleWithLDAPIdentity")),
    Lack("STS by certificate", "AssumeRoleWithCertificate", **_federated("AssumeRoleWithCertificate")),
    Lack("erasure sets: healing", "`mc admin heal`", "POST", "/minio/admin/v3/heal/"),
    Lack("erasure sets: pools", "`mc admin decommission`", "GET", "/minio/admin/v3/pools/list"),
    Lack("the built-in speed test", "`mc support perf`", "POST", "/minio/admin/v3/speedtest"),
]  # fmt: skip
