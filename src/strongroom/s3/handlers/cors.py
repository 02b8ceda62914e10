"""CORS: preflight requests, and the headers that browsers want on every answer (s3.md 8.5)."""

from strongroom.errors import Error
from strongroom.messages import Request, Response
from strongroom.s3.domain.ports import NoSuchBucket
from strongroom.s3.domain.refusals import Refused
from strongroom.s3.handlers.bucket_documents import CORS
from strongroom.s3.handlers.call import Box, log
from strongroom.s3.wire import cors_xml


async def _rules(box: Box, bucket: str) -> tuple[cors_xml.Rule, ...]:
    if not bucket:
        return ()
    try:
        stored = (await box.store.bucket(bucket)).config.get(CORS.name)
    except NoSuchBucket:
        return ()
    return cors_xml.parse(stored) if stored else ()


async def preflight(box: Box, request: Request, bucket: str) -> Response:
    """Answer OPTIONS: what the bucket's rules allow; any origin where a bucket has no rules."""
    origin, method = request.headers.get("origin"), request.headers.get("access-control-request-method")
    if not origin or not method:
        raise Refused("BadRequest", "Insufficient information. Origin request header needed.")
    rules = await _rules(box, bucket)
    if not rules:
        return Response(204, cors_xml.open_answer(request.headers))
    wanted = request.headers.get("access-control-request-headers", "")
    answer = cors_xml.answer(rules, origin, method, wanted)
    if answer is None:
        raise Refused("AccessForbidden")
    return Response(200, answer)


async def headers(box: Box, request: Request, bucket: str) -> list[tuple[str, str]]:
    """Return the headers for the answer to a request with an Origin; none when no rule matches or none can be read.

    As on AWS, what a preflight would ask counts here too. What was asked for is done by now: this must not fail.
    """
    try:
        rules = await _rules(box, bucket)
    except Error as error:
        log.warning("CORS rules of bucket %s: %s", bucket, error)
        return []
    if not rules:
        return cors_xml.open_answer(request.headers)
    method = request.headers.get("access-control-request-method", request.method)
    wanted = request.headers.get("access-control-request-headers", "")
    return cors_xml.answer(rules, request.headers["origin"], method, wanted) or []
