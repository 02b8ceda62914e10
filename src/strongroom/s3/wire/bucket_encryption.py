"""A bucket's encryption configuration as XML (sse.md 8.1), with rules for prefixes as our extension."""

from typing import NoReturn

from strongroom.s3.domain.encryption import DUAL, BucketEncryption, Kind, Rule
from strongroom.s3.domain.refusals import Refused
from strongroom.s3.wire import xml
from strongroom.s3.wire.xml import Content, Item, Node

MAX_BODY = 1024 * 1024  # bytes
ROOT = "ServerSideEncryptionConfiguration"
_DEFAULT = "ApplyServerSideEncryptionByDefault"
_SCHEMA = "The XML you provided was not well-formed or did not validate against our published schema."
_ONE_RULE = "only one server-side encryption rule is allowed at a time"
_PARTS = (_DEFAULT, "BucketKeyEnabled", "BlockedEncryptionTypes", "Filter")
_TRUE = {"true": True, "false": False, "1": True, "0": False}


def parse(body: bytes) -> BucketEncryption:
    """Return a configuration; raise Refused (MalformedXML). Whether its keys can be used is for the caller to try."""
    if len(body) > MAX_BODY:
        _refuse("XML syntax error on line 1: unexpected EOF")
    if b"<" not in body:
        _refuse("EOF")
    rules = tuple([_rule(node) for node in xml.parse(body, ROOT).all("Rule")])
    if not rules or len({rule.prefix for rule in rules}) != len(rules):
        _refuse(_ONE_RULE)
    return BucketEncryption(rules)


def _rule(node: Node) -> Rule:
    xml.only(node, _PARTS, once=_PARTS)
    default = node.first(_DEFAULT)
    if default is None:  # the original stores such a rule, and then encrypts nothing
        _refuse("ApplyServerSideEncryptionByDefault is missing")
    algorithm, key_id = default.value("SSEAlgorithm"), default.value("KMSMasterKeyID")
    if algorithm not in (Kind.S3, Kind.KMS, DUAL):
        _refuse("Unknown SSE algorithm")
    dual, algorithm = algorithm == DUAL, Kind.KMS if algorithm == DUAL else algorithm
    if algorithm == Kind.S3 and key_id:
        _refuse("MasterKeyID is allowed with aws:kms only")
    if algorithm == Kind.KMS and not key_id:
        _refuse("MasterKeyID is missing with aws:kms")
    if key_id != key_id.strip(" "):
        _refuse("MasterKeyID contains unsupported characters")
    blocked = node.first("BlockedEncryptionTypes")
    types = tuple([one.text.strip() for one in blocked.all("EncryptionType")]) if blocked is not None else ()
    if any(one not in ("SSE-C", "NONE") for one in types):
        _refuse("Unknown encryption type")
    filtered = node.first("Filter")
    if filtered is not None:
        xml.only(filtered, ("Prefix",), once=("Prefix",))
    prefix = filtered.value("Prefix") if filtered is not None else ""
    return Rule(Kind(algorithm), key_id, prefix, _TRUE.get(node.value("BucketKeyEnabled").strip()), types, dual)


def render(configuration: BucketEncryption) -> bytes:
    """Return a configuration as GetBucketEncryption answers it: with namespace, without XML declaration."""
    return xml.document(ROOT, [("Rule", _rule_items(rule)) for rule in configuration.rules], head=False)


def _rule_items(rule: Rule) -> list[Item]:
    default: list[Item] = [
        ("SSEAlgorithm", DUAL if rule.dual else str(rule.kind)),
        ("KMSMasterKeyID", rule.key_name or None),
    ]
    items: list[tuple[str, Content]] = [(_DEFAULT, default)]
    if rule.bucket_key is not None:
        items.append(("BucketKeyEnabled", rule.bucket_key))
    if rule.blocked:
        items.append(("BlockedEncryptionTypes", [("EncryptionType", one) for one in rule.blocked]))
    if rule.prefix:
        items.append(("Filter", [("Prefix", rule.prefix)]))
    return items


def _refuse(detail: str) -> NoReturn:
    raise Refused("MalformedXML", f"{_SCHEMA} ({detail})")
