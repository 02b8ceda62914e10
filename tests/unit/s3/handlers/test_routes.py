"""No documented sub-resource falls through to an operation that writes or removes something else (s3.md 1.2)."""

import re

import botocore.session
import pytest

from strongroom.s3.handlers import routes

MODEL = botocore.session.get_session().get_service_model("s3")
ADDRESSES = {MODEL.operation_model(name).http["requestUri"] for name in MODEL.operation_names}
CASES = sorted(
    ("key" if "{Key+}" in address else "", name)
    for address in ADDRESSES
    for name in re.findall(r"[?&]([A-Za-z-]+)", address)
    if name != "list-type"
)
PLAIN = {"CreateBucket", "DeleteBucket", "PutObject", "DeleteObject"}


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
@pytest.mark.parametrize(("key", "query"), CASES)
def test_a_sub_resource_is_never_the_thing_itself(method, key, query):
    if query == "select-type":
        return  # comes with `select` only
    route = routes.find(method, "bucket", key, {query: ""}, {})
    assert route is None or route.operation not in PLAIN


@pytest.mark.parametrize("name", sorted(routes.ABSENT_OBJECT))
@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE"])
def test_what_we_lack_on_objects_is_said(method, name):
    route = routes.find(method, "bucket", "key", {name: ""}, {})
    assert route is not None
    assert route.handle is routes.not_implemented


def test_appending_is_refused():
    route = routes.find("PUT", "bucket", "key", {}, {"x-amz-write-offset-bytes": "3"})
    assert route is not None
    assert route.operation == "AppendObject"
