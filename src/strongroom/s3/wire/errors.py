"""Error codes of the S3 wire: status and usual text of each, and which of our errors becomes which (s3.md 10)."""

import hashlib
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

from strongroom import errors
from strongroom.messages import Response
from strongroom.s3.domain import ports
from strongroom.s3.domain.refusals import Refused

_XML_TEXT = "The XML you provided was not well-formed or did not validate against our published schema."
_NOT_IMPLEMENTED = "A header you provided implies functionality that is not implemented"
_PART = (
    "One or more of the specified parts could not be found.  The part may not have been uploaded, "
    "or the specified entity tag may not match the part's entity tag."
)
_UPLOAD = (
    "The specified multipart upload does not exist. The upload ID may be invalid, "
    "or the upload may have been aborted or completed."
)
_SIGNATURE = (
    "The request signature we calculated does not match the signature you provided. Check your key and signing method."
)
_ALGORITHM_MISSING = (
    "Requests specifying Server Side Encryption with Customer provided keys must provide a valid encryption algorithm."
)

CODES: Mapping[str, tuple[int, str]] = {
    "AccessControlListNotSupported": (400, "The bucket does not allow ACLs"),
    "AccessDenied": (403, "Access Denied."),
    "AccessForbidden": (
        403,
        "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request "
        "method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the "
        "resource's CORS spec.",
    ),
    "AllAccessDisabled": (403, "All access to this resource has been disabled."),
    "AuthorizationHeaderMalformed": (400, "The authorization header is malformed; the region is wrong."),
    "AuthorizationParametersError": (400, "Error parsing the Credential/X-Amz-Credential parameter."),
    "AuthorizationQueryParametersError": (400, "Error parsing the X-Amz-Credential parameter."),
    "BadDigest": (400, "The Content-Md5 you specified did not match what we received."),
    "BadRequest": (400, "400 BadRequest"),
    "BucketAlreadyExists": (
        409,
        "The requested bucket name is not available. The bucket namespace is shared by all users of the system. "
        "Please select a different name and try again.",
    ),
    "BucketAlreadyOwnedByYou": (
        409,
        "Your previous request to create the named bucket succeeded and you already own it.",
    ),
    "BucketNotEmpty": (409, "The bucket you tried to delete is not empty"),
    "ConditionalRequestConflict": (409, "A conflicting operation occurred during the upload."),
    "EntityTooLarge": (400, "Your proposed upload exceeds the maximum allowed object size."),
    "EntityTooSmall": (400, "Your proposed upload is smaller than the minimum allowed object size."),
    "ExcessData": (400, "More data provided than indicated content length"),
    "ExpiredToken": (400, "The provided token has expired."),
    "IllegalVersioningConfigurationException": (
        400,
        "Versioning configuration specified in the request is invalid.",
    ),
    "IncompleteBody": (400, "You did not provide the number of bytes specified by the Content-Length HTTP header."),
    "InternalError": (500, "We encountered an internal error, please try again."),
    "InvalidAccessKeyId": (403, "The Access Key Id you provided does not exist in our records."),
    "InvalidArgument": (400, "Invalid argument."),
    "InvalidBucketAclWithObjectOwnership": (400, "Bucket cannot have ACLs set with ObjectOwnership's setting"),
    "InvalidBucketName": (400, "The specified bucket is not valid."),
    "InvalidBucketState": (409, "The request is not valid with the current state of the bucket."),
    "InvalidDigest": (400, "The Content-Md5 you specified is not valid."),
    "InvalidEncryptionAlgorithmError": (400, "The encryption request that you specified is not valid."),
    "InvalidLocationConstraint": (400, "The specified location-constraint is not valid"),
    "InvalidObjectState": (403, "The operation is not valid for the current state of the object."),
    "InvalidPart": (400, _PART),
    "InvalidPartNumber": (416, "The requested partnumber is not satisfiable"),
    "InvalidPartOrder": (
        400,
        "The list of parts was not in ascending order. The parts list must be specified in order by part number.",
    ),
    "InvalidPolicyDocument": (400, "The content of the form does not meet the conditions specified in the policy."),
    "InvalidRange": (416, "The requested range is not satisfiable"),
    "InvalidRequest": (400, "Invalid Request"),
    "InvalidRetentionPeriod": (400, "The retention period is not valid."),
    "InvalidStorageClass": (400, "Invalid storage class."),
    "InvalidTag": (400, "The TagKey you have provided is invalid"),
    "InvalidTokenId": (403, "The security token included in the request is invalid"),
    "InvalidURI": (400, "Couldn't parse the specified URI."),
    "KMS.DisabledException": (400, "The request was rejected because the specified KMS key is not enabled."),
    "KMS.NotFoundException": (400, "Invalid keyId"),
    "KeyTooLongError": (400, "Your key is too long"),
    "MalformedACLError": (400, _XML_TEXT),
    "MalformedDate": (
        400,
        "Invalid date format header, expected to be in ISO8601, RFC1123 or RFC1123Z time format.",
    ),
    "MalformedExpires": (400, "Malformed expires value"),
    "MalformedPOSTRequest": (
        400,
        "The body of your POST request is not well-formed multipart/form-data.",
    ),
    "MalformedPolicy": (400, "Policy has invalid resource."),
    "MalformedTrailerError": (400, "The request contained trailing data that was not well-formed."),
    "MalformedXML": (400, _XML_TEXT),
    "MaxMessageLengthExceeded": (400, "Your request was too big."),
    "MetadataTooLarge": (400, "Your metadata headers exceed the maximum allowed metadata size."),
    "MethodNotAllowed": (405, "The specified method is not allowed against this resource."),
    "MissingContentLength": (411, "You must provide the Content-Length HTTP header."),
    "MissingContentMD5": (
        400,
        "Missing or invalid required header for this request: Content-Md5 or Amz-Content-Checksum",
    ),
    "MissingFields": (400, "Missing fields in request."),
    "MissingRequestBodyError": (400, "Request body is empty."),
    "NoSuchBucket": (404, "The specified bucket does not exist"),
    "NoSuchBucketPolicy": (404, "The bucket policy does not exist"),
    "NoSuchCORSConfiguration": (404, "The CORS configuration does not exist"),
    "NoSuchKey": (404, "The specified key does not exist."),
    "NoSuchLifecycleConfiguration": (404, "The lifecycle configuration does not exist"),
    "NoSuchObjectLockConfiguration": (400, "The specified object does not have a ObjectLock configuration"),
    "NoSuchPublicAccessBlockConfiguration": (404, "The public access block configuration was not found"),
    "NoSuchTagSet": (404, "The TagSet does not exist"),
    "NoSuchUpload": (404, _UPLOAD),
    "NoSuchVersion": (404, "The specified version does not exist."),
    "NoSuchWebsiteConfiguration": (404, "The specified bucket does not have a website configuration"),
    "NotImplemented": (501, _NOT_IMPLEMENTED),
    "ObjectLockConfigurationNotFoundError": (404, "Object Lock configuration does not exist for this bucket"),
    "OwnershipControlsNotFoundError": (404, "The bucket ownership controls were not found"),
    "PolicyTooLarge": (400, "Policy exceeds the maximum allowed document size."),
    "PreconditionFailed": (412, "At least one of the pre-conditions you specified did not hold"),
    "ReplicationConfigurationNotFoundError": (404, "The replication configuration was not found"),
    "RequestTimeTooSkewed": (
        403,
        "The difference between the request time and the server's time is too large.",
    ),
    "RequestTimeout": (
        400,
        "Your socket connection to the server was not read from or written to within the timeout period.",
    ),
    "ServerSideEncryptionConfigurationNotFoundError": (404, "The server side encryption configuration was not found"),
    "ServiceUnavailable": (503, "Please reduce your request rate"),
    "SignatureDoesNotMatch": (403, _SIGNATURE),
    "SlowDown": (503, "Resource requested is unreadable, please reduce your request rate"),
    "TooManyRequests": (429, "Please reduce your request rate"),
    "XAmzContentChecksumMismatch": (400, "The provided 'x-amz-checksum' header does not match what was computed."),
    "XAmzContentSHA256Mismatch": (
        400,
        "The provided 'x-amz-content-sha256' header does not match what was computed.",
    ),
    "XMinioAdminBucketQuotaExceeded": (400, "Bucket quota exceeded"),
    "XMinioAdminInvalidArgument": (400, "Invalid arguments specified."),
    "XMinioAdminVersionMismatch": (426, "This 'admin' API is not supported by server in 'mode-server-xl-single'"),
    "XMinioEncryptionError": (400, "The object metadata is not valid"),
    "XMinioInvalidObjectName": (400, "Object name contains unsupported characters."),
    "XMinioInvalidResourceName": (400, 'Resource name contains bad components such as ".." or ".".'),
    "XMinioObjectTampered": (500, "The requested object was modified and may be compromised"),
    "XMinioServerNotInitialized": (503, "Server not initialized yet, please try again."),
    "XMinioStorageFull": (
        507,
        "Storage backend has reached its minimum free drive threshold. Please delete a few objects to proceed.",
    ),
    "kms:DecryptionFailed": (500, "failed to decrypt ciphertext with KMS key"),
    "kms:InvalidCiphertextException": (400, "failed to decrypt ciphertext"),
    "kms:KeyAlreadyExists": (409, "key with given key ID already exits"),
    "kms:KeyCreationFailed": (500, "failed to create KMS key"),
    "kms:KeyDeletionFailed": (500, "failed to delete KMS key"),
    "kms:KeyGenerationFailed": (500, "failed to generate data key with KMS key"),
    "kms:KeyListingFailed": (500, "failed to list keys at the KMS"),
    "kms:KeyNotFound": (404, "key with given key ID does not exist"),
    "kms:NotAuthorized": (403, "insufficient permissions to perform KMS operation"),
    "kms:NotSupported": (501, "requested functionality is not supported"),
}

KINDS: Mapping[type[errors.Error], str] = {
    ports.NoSuchBucket: "NoSuchBucket",
    ports.NoSuchKey: "NoSuchKey",
    ports.NoSuchVersion: "NoSuchVersion",
    ports.NoSuchUpload: "NoSuchUpload",
    ports.NoSuchPart: "InvalidPart",
    ports.BucketExists: "BucketAlreadyOwnedByYou",
    ports.BucketNotEmpty: "BucketNotEmpty",
    ports.QuotaExceeded: "XMinioAdminBucketQuotaExceeded",
    ports.DiskFull: "XMinioStorageFull",
    errors.NotFound: "NoSuchKey",
    errors.AlreadyExists: "BucketAlreadyExists",
    errors.Conflict: "ConditionalRequestConflict",
    errors.Denied: "AccessDenied",
    errors.TooLarge: "EntityTooLarge",
    errors.Incomplete: "IncompleteBody",
    errors.Malformed: "InvalidRequest",
    errors.NotSupported: "NotImplemented",
    errors.Tampered: "XMinioObjectTampered",
    errors.Unavailable: "ServiceUnavailable",
    errors.Error: "InternalError",
}

RETRY_AFTER = ("Retry-After", "60")  # with every 503 and 429


def refusal(error: errors.Error) -> Refused:
    """Return any of our errors as a refusal: what is not one already gets its class's code and usual text."""
    if isinstance(error, Refused):
        return error
    code = getattr(error, "s3_code", None)
    if isinstance(code, str):
        text = getattr(error, "s3_text", None)
        return Refused(code, text if isinstance(text, str) else None)
    if isinstance(error, ports.NoSuchKey) and error.marker is not None:
        marker = [("x-amz-delete-marker", "true"), ("x-amz-version-id", error.marker.version_id)]
        return Refused("NoSuchKey", headers=marker)
    return Refused(errors.row(KINDS, error))


def status_and_text(refused: Refused) -> tuple[int, str]:
    """Return the HTTP status and the client's text of a refusal."""
    status, text = CODES.get(refused.code, (400, refused.code))
    return refused.status or status, text if refused.text is None else refused.text


HOST_ID = hashlib.sha256(b"strongroom").hexdigest()


def document(refused: Refused, bucket: str, key: str, resource: str, request_id: str) -> bytes:
    """Return the error document (s3.md 10.1)."""
    _, text = status_and_text(refused)
    parts = [("Code", refused.code), ("Message", text), *refused.extra.items()]
    if not refused.early:
        parts += [("Key", key)] if key else []
        parts += [("BucketName", bucket)] if bucket else []
    parts += [("Resource", resource), ("RequestId", request_id), ("HostId", HOST_ID)]
    body = "".join([f"<{name}>{xml_text(value)}</{name}>" for name, value in parts])
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{body}</Error>'.encode("utf-8", "replace")


def xml_text(value: str) -> str:
    """Escape a value for XML text as the original does: quotes as well; controls as character references."""
    value = escape(value, {'"': "&#34;", "'": "&#39;", "\t": "&#x9;", "\n": "&#xA;", "\r": "&#xD;"})
    if value.isprintable():
        return value
    return "".join([f"&#x{ord(c):X};" if c < " " else c for c in value])


def render(refused: Refused, *, head: bool, bucket: str, key: str, resource: str, request_id: str) -> Response:
    """Return the answer for a refusal; HEAD has no body and says it in headers."""
    status, text = status_and_text(refused)
    headers: list[tuple[str, str]] = [*refused.headers]
    if status in (503, 429):
        headers.append(RETRY_AFTER)
    if head:
        headers += [("x-minio-error-code", refused.code), ("x-minio-error-desc", f'"{_one_line(text)}"')]
        return Response(status, headers)
    headers.append(("Content-Type", "application/xml"))
    return Response(status, headers, document(refused, bucket, key, resource, request_id))


def _one_line(text: str) -> str:
    return "".join([c if " " <= c < "\x7f" else "?" for c in text])


def refuse_http(status: int, text: str) -> Response:
    """Render net's own refusals (broken heads, time-outs) in this box's form."""
    code = _NET.get(status, "BadRequest")
    refused = Refused(code, text or None, status=status, early=True)
    return render(refused, head=False, bucket="", key="", resource="", request_id="")


_NET: Mapping[int, str] = {408: "RequestTimeout", 413: "EntityTooLarge", 431: "MetadataTooLarge", 501: "NotImplemented"}

COMMON_HEADERS: Sequence[tuple[str, str]] = (
    ("Server", "MinIO"),
    ("Accept-Ranges", "bytes"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-XSS-Protection", "1; mode=block"),
    ("Strict-Transport-Security", "max-age=31536000; includeSubDomains"),
    ("x-amz-id-2", HOST_ID),
)  # on every answer (s3.md 10.1)
