import base64
import json
from pathlib import Path

import pytest

from strongroom.s3.domain.refusals import Refused
from strongroom.s3.domain.rewrap import Filter, Job, Order, Progress
from strongroom.s3.wire import batch

RECORDED = [
    t
    for t in json.loads((Path(__file__).parents[3] / "vectors" / "sse" / "admin.json").read_text())["transcripts"]
    if (t.get("request") or {}).get("path", "").endswith("/start-job")
]
FULL = b"""
keyrotate:
  apiVersion: v1
  bucket: b
  prefix: p/
  encryption:
    type: sse-kms
    key: arn:aws:kms:new-key
    context: eyJhIjoiYiJ9
  flags:
    filter:
      newerThan: "7d"
      olderThan: "1h30m"
      createdAfter: "2020-01-01T00:00:00Z"
      createdBefore: 2030-01-01T00:00:00Z
      tags: [{key: name, value: "pick*"}]
      metadata: [{key: Content-Type, value: "image/*"}]
      kmskey: "old-*"
    notify: {endpoint: "https://x", token: "Bearer secret"}
    retry: {attempts: 10, delay: "500ms"}
"""


@pytest.mark.parametrize("t", RECORDED, ids=lambda t: t["name"])
def test_recorded_order(t):
    refused_here = ("kmskeyid filter",)  # a misspelt filter would select everything
    accepted_here = ("newerThan 1d", "missing bucket", "unknown key")  # days, as documented; the others are found later
    name = t["name"].removeprefix("batch: ")
    fine = t["response"]["status"] == 200 or name.startswith(accepted_here)
    body = (t["request"].get("body") or "").encode()
    if fine and not name.startswith(refused_here):
        batch.parse(body)
    else:
        with pytest.raises(Refused) as refused:
            batch.parse(body)
        assert refused.value.status == 400


def test_everything_is_read():
    order = batch.parse(FULL)
    assert order == Order(
        "b",
        "aws:kms",
        "p/",
        "new-key",
        {"a": "b"},
        Filter(
            604800.0,
            5400.0,
            1577836800.0,
            1893456000.0,
            (("name", "pick*"),),
            (("Content-Type", "image/*"),),
            "old-*",
        ),
        10,
        0.5,
        "https://x",
        "Bearer secret",
    )


def test_a_description_is_an_order_again_without_its_secret():
    order = batch.parse(FULL)
    text = batch.described(Job(order, Progress("id", "minio", 0.0)))
    assert b"secret" not in text
    again = batch.parse(text)
    assert again.filter == order.filter
    assert (again.bucket, again.prefix, again.key_name, again.attempts) == ("b", "p/", "new-key", 10)


@pytest.mark.parametrize(
    "change",
    [
        (b"7d", b"soon"),
        (b"2020-01-01T00:00:00Z", b"yesterday"),
        (b"attempts: 10", b"attempts: many"),
        (b"eyJhIjoiYiJ9", base64.b64encode(b"[]")),
        (b"tags: [{key", b"tags: {x: [{key"),
        (b"kmskey", b"kmskeys"),
        (b"    type", b"\ttype"),
        (b"keyrotate", b"replicate"),
    ],
)
def test_what_is_wrong_is_said(change):
    with pytest.raises(Refused) as refused:
        batch.parse(FULL.replace(*change))
    assert refused.value.text.startswith("Invalid arguments specified. (")


def test_flags_of_ours_come_and_go():
    flags = b"{plaintextOnly: true, perSecond: 50}"
    text = b"keyrotate: {apiVersion: v1, bucket: b, encryption: {type: sse-s3}, flags: %b}" % flags
    order = batch.parse(text)
    assert (order.plain, order.per_second) == (True, 50.0)
    assert batch.parse(batch.described(Job(order, Progress("id", "user", 0.0)))) == order


@pytest.mark.parametrize("flags", ["plaintextOnly: 1", "plaintextOnly: yes please", "perSecond: -1", "perSecond: fast"])
def test_flags_that_mean_nothing_are_refused(flags):
    with pytest.raises(Refused):
        batch.parse(
            f"keyrotate: {{apiVersion: v1, bucket: b, encryption: {{type: sse-s3}}, flags: {{{flags}}}}}".encode()
        )
