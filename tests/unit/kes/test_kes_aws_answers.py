"""What a proxy in front of AWS may answer is a failure of the store: no key, and none that was made or is missing."""

import pytest

from strongroom.errors import Unavailable
from strongroom.kes.domain.errors import StoreFailed
from strongroom.kes.domain.settings import AwsSettings
from strongroom.kes.outside.aws import AwsStore
from strongroom.messages import Body, Request, Response
from strongroom.net.server import listen

PAGES = {
    "a page": (200, b"<html><body>Welcome</body></html>"),
    "nothing": (200, b""),
    "a list": (200, b"[1]"),
    "other members": (200, b'{"SecretList":7,"Name":"x"}'),
    "not found": (404, b"<html><body>404</body></html>"),
    "denied": (403, b"<html><body>403</body></html>"),
}


@pytest.mark.parametrize("page", PAGES)
async def test_a_page_is_no_answer(page: str) -> None:
    pytest.importorskip("boto3", reason="pip install boto3")
    status, body = PAGES[page]

    def proxy(request: Request, received: Body) -> Response:
        return Response(status, (("Content-Type", "text/html"),), body)

    server = await listen(proxy, "127.0.0.1", 0)
    store = await AwsStore.connect(AwsSettings(f"http://127.0.0.1:{server.port}", "us-east-1", "", "key", "secret"))
    for work in (store.create("mine", b"v"), store.get("mine"), store.names("", "", 9)):
        with pytest.raises(Unavailable):
            await work
    if status != 200:
        with pytest.raises(StoreFailed):
            await store.delete("mine")
    await store.close()
    await server.stop(0)
