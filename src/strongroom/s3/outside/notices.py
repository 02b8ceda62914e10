"""Tells a URL that a job has ended."""

from strongroom.errors import Unavailable
from strongroom.net.client import HttpClient


async def post(url: str, token: str, document: bytes) -> None:
    """Send a JSON document, with the token as Authorization; raise Unavailable when it is not taken."""
    headers = {"Content-Type": "application/json", **({"Authorization": token} if token else {})}
    client = HttpClient(timeout=10.0)
    try:
        answer = await client.request("POST", url, headers=headers, body=document)
    finally:
        await client.close()
    if answer.status >= 300:
        raise Unavailable(f"{url} answers {answer.status}")
