"""`mc admin trace` and `mc admin logs` follow a server, through our own client; metrics tell of the key service."""

import asyncio
import json
import os
import sys
import urllib.request

import pytest
from system.keys_world import client, code, off, serving
from system.test_s3_keys import Chain
from system.test_s3_telemetry import token


@pytest.fixture
def chain(tmp_path):
    (tmp_path / "keys").mkdir()
    return Chain(tmp_path)


class Mc:
    """A `strongroom mc admin …` that goes on until it is killed; its lines are JSON."""

    def __init__(self, running, folder):
        host = running.url.removeprefix("http://")
        self._environment = {**os.environ, "MC_HOST_my": f"http://minio:minio123@{host}", "MC_CONFIG_DIR": str(folder)}

    async def __call__(self, *words):
        program = [sys.executable, "-m", "strongroom.cli.main", "mc", "--json", "admin", *words]
        pipe = asyncio.subprocess.PIPE
        self.process = await asyncio.create_subprocess_exec(*program, env=self._environment, stdout=pipe)
        return self

    async def line(self):
        async with asyncio.timeout(20):
            return json.loads(await self.process.stdout.readline())

    async def close(self):
        self.process.kill()
        await self.process.wait()


async def followed(hub):
    async with asyncio.timeout(20):
        while not hub._listeners:
            await asyncio.sleep(0.02)


async def test_trace_shows_requests_without_secrets(chain):
    async with chain.kes() as kes, serving(chain, kes.port) as running:
        s3 = client(running)
        await off(s3.create_bucket, Bucket="bkt")
        mc = await Mc(running, chain.folder)("trace", "my")
        try:
            await followed(running.telemetry.traces)
            await off(s3.put_object, Bucket="bkt", Key="k", Body=b"hello")
            url = await off(s3.generate_presigned_url, "get_object", {"Bucket": "bkt", "Key": "none"})
            assert await code(s3.get_object, Bucket="bkt", Key="none") == "NoSuchKey"
            with pytest.raises(urllib.error.HTTPError):
                await off(urllib.request.urlopen, url)
            first, second, third = [await mc.line() for _ in range(3)]
        finally:
            await mc.close()
    assert (first["funcname"], first["path"], first["http"]["respInfo"]["statuscode"]) == (
        "s3.PutObject",
        "/bkt/k",
        200,
    )
    assert (first["http"]["callStats"]["inputBytes"], first["dur"] > 0) == (5, True)
    assert first["http"]["reqInfo"]["headers"]["authorization"] == ["*REDACTED*"]
    assert (second["funcname"], second["http"]["respInfo"]["statuscode"]) == ("s3.GetObject", 404)
    assert "REDACTED" in third["http"]["reqInfo"]["rawquery"]
    assert running.telemetry.traces._listeners == set()


async def test_only_errors_are_traced_when_asked_for(chain):
    async with chain.kes() as kes, serving(chain, kes.port) as running:
        s3 = client(running)
        mc = await Mc(running, chain.folder)("trace", "my", "--errors")
        try:
            await followed(running.telemetry.traces)
            await off(s3.create_bucket, Bucket="bkt")
            await code(s3.get_object, Bucket="bkt", Key="none")
            assert (await mc.line())["http"]["respInfo"]["statuscode"] == 404
        finally:
            await mc.close()


async def test_logs_begin_with_the_last_lines(chain):
    async with chain.kes() as kes, serving(chain, kes.port) as running:
        import logging

        logging.getLogger("strongroom.s3").warning("something %s", "happened")
        mc = await Mc(running, chain.folder)("logs", "my")
        try:
            found = await mc.line()
            assert found["message"] == "something happened"
            logging.getLogger("strongroom.s3").error("again")
            assert (await mc.line())["message"] == "again"
        finally:
            await mc.close()


async def test_metrics_tell_of_the_key_service(chain):
    """Sse.md 18 row 20: always 1, also while the key server was away."""

    def scrape(running):
        request = urllib.request.Request(running.url + "/minio/v2/metrics/cluster")
        request.add_header("Authorization", f"Bearer {token(b'minio123', subject='minio')}")
        with urllib.request.urlopen(request) as answer:
            return answer.read().decode()

    async with chain.kes() as kes, serving(chain, kes.port) as running:
        text = await off(scrape, running)
        assert "minio_cluster_kms_online 1\n" in text
        await kes.stop(0.1)
        text = await off(scrape, running)
        assert "minio_cluster_kms_online 0\n" in text
        assert "minio_cluster_kms_request_success " in text
        assert "strongroom_keys_locked 0\n" in text


async def mc(running, folder, *words):
    """Run `strongroom mc admin …` to its end; return exit code and what it printed."""
    made = await Mc(running, folder)(*words)
    output, _ = await made.process.communicate()
    return made.process.returncode, output.decode()


async def test_settings_are_shown_and_changed_elsewhere(chain, monkeypatch):
    monkeypatch.setenv("MINIO_SITE_REGION", "eu-1")
    monkeypatch.setenv("MINIO_NOTIFY_WEBHOOK_ENDPOINT_HOOK", "http://127.0.0.1:1/a")
    monkeypatch.setenv("MINIO_NOTIFY_WEBHOOK_AUTH_TOKEN_HOOK", "very-secret")
    async with chain.kes() as kes, serving(chain, kes.port) as running:
        code_, text = await mc(running, chain.folder, "config", "get", "my", "site")
        assert (code_, json.loads(text)["value"]) == (0, "site region=eu-1")
        code_, text = await mc(running, chain.folder, "config", "export", "my")
        assert code_ == 0
        assert "notify_webhook:hook endpoint=http://127.0.0.1:1/a" in text
        assert "very-secret" not in text
        code_, text = await mc(running, chain.folder, "config", "set", "my", "site", "region=us-east-1")
        assert (code_, "come from its environment" in text) == (1, True)
        code_, text = await mc(running, chain.folder, "config", "get", "my", "none")
        assert (code_, "There is no configuration 'none'" in text) == (1, True)
