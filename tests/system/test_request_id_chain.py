"""One id in the audit logs of all three boxes: of the request that a client sent to s3."""

import json
from pathlib import Path
from typing import Any

import pytest
from chain_process import ChainProcess
from test_chain_up import client

from strongroom.sdk.kes import KesClient
from strongroom.sdk.tls import client_tls
from strongroom.sdk.vault import VaultClient


@pytest.fixture
def chain(tmp_path: Path):
    running = ChainProcess.on_free_ports(tmp_path / "data")
    yield running.start()
    running.stop()


def lines(path: Path, text: str) -> list[dict[str, Any]]:
    """Return the lines of an audit log that hold text."""
    return [json.loads(line) for line in path.read_text().splitlines() if text in line]


async def test_one_id_is_found_in_every_audit_log(chain: ChainProcess, tmp_path: Path) -> None:
    environment = chain.environment(admin=True)
    ca, kms_log = environment["KES_CA"], tmp_path / "kms-audit.log"
    tls = client_tls(cert=environment["KES_CLIENT_CERT"], key=environment["KES_CLIENT_KEY"], ca=ca)
    async with KesClient([environment["KES_SERVER"]], tls) as kes:
        await kes.create("traced")
    async with VaultClient(environment["VAULT_ADDR"], client_tls(ca=ca), token=environment["VAULT_TOKEN"]) as kms:
        await kms.write("sys/audit/file", {"type": "file", "options": {"file_path": str(kms_log)}})
    s3 = client(environment)
    s3.create_bucket(Bucket="box")
    answer = s3.put_object(Bucket="box", Key="a", Body=b"a", ServerSideEncryption="aws:kms", SSEKMSKeyId="traced")
    identity = answer["ResponseMetadata"]["HTTPHeaders"]["x-amz-request-id"]
    (at_s3,) = (
        line for file in (chain.folder / "s3").glob("audit*.log") for line in lines(file, identity)
    )  # by worker
    at_kes = lines(chain.folder / "kes/audit.log", identity)
    at_kms = lines(kms_log, identity)
    assert (at_s3["operation"], at_s3["bucket"], at_s3["key"]) == ("PutObject", "box", "a")
    assert {one["id"] for one in at_kes} == {identity}
    assert "/v1/key/generate/traced" in [one["request"]["path"] for one in at_kes]
    reads = {(one["type"], one["request"]["path"]) for one in at_kms}
    assert any(kind == "response" and path.endswith("/traced") for kind, path in reads)
    assert all(one["request"]["headers"]["x-request-id"] == [identity] for one in at_kms)
