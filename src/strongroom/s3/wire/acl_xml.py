"""Access control lists as XML and as headers (s3.md 8.8)."""

import re
from collections.abc import Mapping, Sequence

from strongroom.s3.domain import acl
from strongroom.s3.domain.acl import Grant
from strongroom.s3.domain.refusals import Refused
from strongroom.s3.wire import xml
from strongroom.s3.wire.errors import xml_text

_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_HEADERS = {
    "x-amz-grant-read": "READ",
    "x-amz-grant-write": "WRITE",
    "x-amz-grant-read-acp": "READ_ACP",
    "x-amz-grant-write-acp": "WRITE_ACP",
    "x-amz-grant-full-control": "FULL_CONTROL",
}
_GRANTEE = re.compile(r'\s*(id|uri|emailAddress)\s*=\s*"?([^",]+)"?\s*', re.IGNORECASE)


def from_headers(headers: Mapping[str, str], owner: str) -> list[Grant] | None:
    """Return the grants that a request's headers ask for, None without any; raise Refused."""
    name = headers.get("x-amz-acl", "")
    found = [(permission, headers[header]) for header, permission in _HEADERS.items() if header in headers]
    if name and found:
        raise Refused("InvalidRequest", "Specifying both Canned ACLs and Header Grants is not allowed")
    if name:
        if name not in acl.CANNED:
            raise Refused("InvalidArgument", f"{name} is no canned ACL")
        return acl.canned(name)
    if not found:
        return None
    asked = [(one, permission) for permission, text in found for one in text.split(",", acl.MAX_GRANTS)]
    if len(asked) > acl.MAX_GRANTS:
        raise Refused("InvalidArgument", f"An access control list has at most {acl.MAX_GRANTS} grants.")
    return _without_owner([Grant(_grantee(one), permission) for one, permission in asked], owner)


def _grantee(text: str) -> str:
    match = _GRANTEE.fullmatch(text)
    if not match or match[1].lower() == "emailaddress":
        raise Refused("InvalidArgument", 'A grantee is id="…" or uri="…".')
    if match[1].lower() == "uri" and match[2] not in acl.GROUPS:
        raise Refused("InvalidArgument", "Invalid group uri")
    return match[2]


def parse(body: bytes, owner: str) -> list[Grant]:
    """Return the grants of an AccessControlPolicy beside the owner's full control; raise Refused."""
    node = xml.parse(body, "AccessControlPolicy", code="MalformedACLError")
    nodes = [grant for one in node.all("AccessControlList") for grant in one.all("Grant")]
    if len(nodes) > acl.MAX_GRANTS:
        raise Refused("MalformedACLError")
    return _without_owner([_grant(one) for one in nodes], owner)


def _grant(node: xml.Node) -> Grant:
    grantee, permission = node.first("Grantee"), node.value("Permission")
    if grantee is None or permission not in acl.PERMISSIONS:
        raise Refused("MalformedACLError")
    uri, name = grantee.value("URI"), grantee.value("ID")
    if bool(uri) == bool(name):
        raise Refused("MalformedACLError")
    if uri and uri not in acl.GROUPS:
        raise Refused("InvalidArgument", "Invalid group uri")
    return Grant(uri or name, permission)


def _without_owner(grants: Sequence[Grant], owner: str) -> list[Grant]:
    return [grant for grant in grants if grant.grantee != owner]


def render(grants: Sequence[Grant], owner: str, owner_name: str) -> bytes:
    """Return the document of a list: the owner's full control first."""
    who = f"<ID>{owner}</ID><DisplayName>{xml_text(owner_name)}</DisplayName>"
    rows = [f"{_user(who)}<Permission>FULL_CONTROL</Permission>"]
    for grant in grants:
        if grant.grantee in acl.GROUPS:
            grantee = (
                f'<Grantee xmlns:xsi="{_XSI}" xsi:type="Group"><Type>Group</Type><URI>{grant.grantee}</URI></Grantee>'
            )
        else:
            name = xml_text(grant.grantee)
            grantee = _user(f"<ID>{name}</ID><DisplayName>{name}</DisplayName>")
        rows.append(f"{grantee}<Permission>{grant.permission}</Permission>")
    inner = "".join([f"<Grant>{row}</Grant>" for row in rows])
    return xml.wrap("AccessControlPolicy", f"<Owner>{who}</Owner><AccessControlList>{inner}</AccessControlList>")


def _user(who: str) -> str:
    return f'<Grantee xmlns:xsi="{_XSI}" xsi:type="CanonicalUser"><Type>CanonicalUser</Type>{who}</Grantee>'
