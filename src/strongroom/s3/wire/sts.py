"""The STS wire: form fields in, XML out (AWS Security Token Service API, version 2011-06-15)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from strongroom.messages import Response
from strongroom.s3.domain.refusals import Refused
from strongroom.s3.wire.errors import status_and_text, xml_text

VERSION = "2011-06-15"
NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"
SHORTEST, LONGEST, USUAL = 900, 7 * 24 * 3600, 3600  # seconds a session may last
FIELDS = 64  # more than any action has


@dataclass(frozen=True, slots=True)
class AssumeRole:
    """What is asked for. policy: a document that narrows the session, "" for none."""

    seconds: int
    policy: str


@dataclass(frozen=True, slots=True)
class Session:
    """What is answered. expires: RFC 3339."""

    access_key: str
    secret: str = field(repr=False)
    token: str = field(repr=False)
    expires: str = ""
    user: str = ""


def fields(body: bytes) -> Mapping[str, str]:
    """Read a form body; raise Refused."""
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=FIELDS))
    except ValueError as error:
        raise Refused("InvalidParameterValue", f"the form cannot be read: {error}", status=400) from error


def parse_assume_role(form: Mapping[str, str]) -> AssumeRole:
    """Read an AssumeRole form; raise Refused naming the parameter."""
    if form.get("Version", VERSION) != VERSION:
        raise Refused("MissingParameter", f"Invalid STS API version {form['Version']}, expecting {VERSION}", status=400)
    text = form.get("DurationSeconds") or str(USUAL)
    if not text.isdecimal() or len(text) > 9 or not SHORTEST <= int(text) <= LONGEST:
        raise Refused("InvalidParameterValue", f"DurationSeconds must lie between {SHORTEST} and {LONGEST}", status=400)
    return AssumeRole(int(text), form.get("Policy", ""))


def render_session(session: Session, request_id: str) -> Response:
    """Return the AssumeRole answer."""
    credentials = {
        "AccessKeyId": session.access_key,
        "SecretAccessKey": session.secret,
        "SessionToken": session.token,
        "Expiration": session.expires,
    }
    inner = "".join(f"<{name}>{xml_text(value)}</{name}>" for name, value in credentials.items())
    body = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<AssumeRoleResponse xmlns="{NAMESPACE}"><AssumeRoleResult>'
        f"<AssumedRoleUser><Arn></Arn><AssumeRoleId>{xml_text(session.user)}</AssumeRoleId></AssumedRoleUser>"
        f"<Credentials>{inner}</Credentials></AssumeRoleResult>"
        f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></AssumeRoleResponse>"
    )
    return Response(200, [("Content-Type", "application/xml")], body.encode())


def render_error(refused: Refused, request_id: str) -> Response:
    """Return the STS form of an error."""
    status, text = status_and_text(refused)
    body = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<ErrorResponse xmlns="{NAMESPACE}"><Error><Type></Type>'
        f"<Code>{refused.code}</Code><Message>{xml_text(text)}</Message></Error>"
        f"<RequestId>{request_id}</RequestId></ErrorResponse>"
    )
    return Response(status, [("Content-Type", "application/xml")], body.encode())
