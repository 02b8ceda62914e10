"""Keys in AWS Secrets Manager, one secret a key (kes.md 6.5). boto3 is blocking, so each call has a thread."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, TypeVar

from strongroom.errors import BadSettings
from strongroom.kes.domain.errors import KeyExists, KeyNotFound, StoreDenied, StoreFailed, StoreShut, StoreUnreachable
from strongroom.kes.domain.pages import page
from strongroom.kes.domain.settings import AwsSettings
from strongroom.sdk.clock import PeerClock

T = TypeVar("T")
_KINDS = {
    "AccessDeniedException": StoreDenied,
    "UnrecognizedClientException": StoreShut,
    "InvalidSignatureException": StoreShut,
    "ExpiredTokenException": StoreShut,
}


class AwsStore:
    """See KeyStore. A secret's name is the key's; foreign secrets of the account are listed as well."""

    def __init__(self, settings: AwsSettings, client: Any) -> None:
        self.description = f"AWS SecretsManager: {settings.endpoint}"
        self._settings, self._client, self._clock = settings, client, PeerClock()

    @classmethod
    async def connect(cls, settings: AwsSettings) -> "AwsStore":
        """Make a client and try it; raise BadSettings without boto3, StoreUnreachable when nobody answers."""
        try:
            import boto3
            from botocore.config import Config
        except ImportError:
            raise BadSettings("keystore.aws needs boto3: pip install strongroom[aws]") from None
        endpoint = settings.endpoint if "://" in settings.endpoint else f"https://{settings.endpoint}"
        client = boto3.client(
            "secretsmanager",
            region_name=settings.region,
            endpoint_url=endpoint,
            aws_access_key_id=settings.access_key or None,
            aws_secret_access_key=settings.secret_key or None,
            aws_session_token=settings.token or None,
            config=Config(connect_timeout=5, read_timeout=10, retries={"max_attempts": 3}, max_pool_connections=32),
        )
        store = cls(settings, client)
        await store.status()
        return store

    @property
    def clock_ahead(self) -> float:
        """See KeyStore."""
        return self._clock.ahead

    async def status(self) -> float:
        """See KeyStore: any answer counts."""
        start = time.monotonic()
        try:
            await self._do("read", "", lambda: self._client.list_secrets(MaxResults=1))
        except StoreUnreachable:
            raise
        except StoreFailed:
            pass  # it answered
        return time.monotonic() - start

    async def create(self, name: str, value: bytes) -> None:
        """See KeyStore; CreateSecret is atomic."""
        options = {"KmsKeyId": self._settings.kms_key} if self._settings.kms_key else {}
        made = await self._do(
            "create", name, lambda: self._client.create_secret(Name=name, SecretString=value.decode(), **options)
        )
        if "ARN" not in made:  # the library takes any page of a proxy for an answer
            raise StoreFailed(f"aws: failed to create '{name}': the answer names no secret")

    async def get(self, name: str) -> bytes:
        """See KeyStore."""
        answer = await self._do("read", name, lambda: self._client.get_secret_value(SecretId=name))
        if "SecretString" in answer:
            return str(answer["SecretString"]).encode()
        if "SecretBinary" in answer:
            return bytes(answer["SecretBinary"])
        raise StoreFailed(f"aws: failed to read '{name}': the answer holds no secret")

    async def delete(self, name: str) -> None:
        """See KeyStore; without the waiting period, which would keep the name taken."""
        await self._do(
            "delete",
            name,
            lambda: self._client.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True),
        )

    async def names(self, prefix: str, after: str, limit: int) -> list[str]:
        """See KeyStore."""

        def every() -> list[str]:
            pages = self._client.get_paginator("list_secrets").paginate()
            return [str(secret["Name"]) for one in pages for secret in one["SecretList"]]

        return page(await self._do("list", "", every), prefix, after, limit)

    async def close(self) -> None:
        """See KeyStore."""
        await asyncio.to_thread(self._client.close)

    async def _do(self, what: str, name: str, work: Callable[[], T]) -> T:
        """Run work in a thread; say its failures in the port's words."""
        from botocore.exceptions import BotoCoreError, ClientError
        from botocore.parsers import ResponseParserError

        try:
            answer = await asyncio.to_thread(work)
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code == "ResourceExistsException":
                raise KeyExists(name) from error
            if code == "ResourceNotFoundException":
                raise KeyNotFound(name) from error
            kind = _KINDS.get(code, StoreFailed)
            raise kind(f"aws: failed to {what} '{name}': {error}") from error
        except BotoCoreError as error:
            raise StoreUnreachable(f"aws: {error}") from error
        except (ResponseParserError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise StoreFailed(f"aws: failed to {what} '{name}': the answer cannot be read: {error}") from error
        if isinstance(answer, dict):
            self._clock.heard(answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}))
        return answer
