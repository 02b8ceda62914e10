"""Audit lines are written whatever a request says: what no text can say is replaced."""

import json

from strongroom.audit.log import AuditLog
from strongroom.messages import Peer, Request
from strongroom.s3.auditing import Auditor
from strongroom.s3.handlers.call import Call


class Lines:
    def __init__(self):
        self.data = b""

    def write(self, data):
        self.data += data

    def close(self):
        pass

    def sync(self):
        pass


def test_an_address_that_is_not_utf8_has_a_line():
    lines = Lines()
    request = Request("GET", "/%FF/%FF", "/%FF/%FF", "", {}, (), Peer("127.0.0.1", 1))
    call = Call(None, request, None, "1", "\udcff", "\udcff", [], {"versionId": "\udcff"}, operation="GetObject")
    Auditor(AuditLog(lines)).request(request, "1", call, 400, 0.1, 0)()
    line = json.loads(lines.data.splitlines()[-1])
    assert (line["bucket"], line["key"], line["version"]) == ("?", "?", "?")
