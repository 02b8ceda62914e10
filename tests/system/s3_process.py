"""A real `strongroom s3 server` in a child process, with the built-in static key, over plain HTTP."""

import os
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import boto3
from botocore.config import Config
from chain_process import PROGRAM, free_port

KEY = "my-key:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


class S3Process:
    """Runs `strongroom s3 server FOLDER`; start() returns once it answers."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {
            "MINIO_ROOT_USER": "minio",
            "MINIO_ROOT_PASSWORD": "minio123",
            "MINIO_KMS_SECRET_KEY": KEY,
            "MINIO_KMS_AUTO_ENCRYPTION": "on",
            **environment,
        }
        self.context: ssl.SSLContext | None = None  # for https
        self.process: subprocess.Popen | None = None

    def start(self, seconds: float = 30) -> "S3Process":
        self.process = subprocess.Popen(
            [*PROGRAM, "s3", "server", str(self.folder), "--address", f"127.0.0.1:{self.port}"],
            env={**os.environ, **self.environment},
            stdout=sys.stderr,
        )
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            assert self.process.poll() is None, f"s3 ended with {self.process.returncode}"
            try:
                urllib.request.urlopen(f"{self.url}/minio/health/ready", timeout=5, context=self.context).close()
                return self
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.02)
        raise AssertionError("s3 does not answer")

    def client(self, attempts: int = 1, **config):
        """Return a boto3 client; attempts 1 means no retry, so that an answer is what the server said."""
        retries = {"total_max_attempts": attempts, "mode": "standard"}
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            aws_access_key_id="minio",
            aws_secret_access_key="minio123",
            region_name="us-east-1",
            config=Config(retries=retries, max_pool_connections=64, s3={"addressing_style": "path"}, **config),
        )

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(15)
