"""The access rules of a running server: identity policies and the bucket's own policy together (s3.md 8.4)."""

from dataclasses import replace

from strongroom.errors import Malformed
from strongroom.s3.domain import acl
from strongroom.s3.domain.iam.directory import Directory, mentions
from strongroom.s3.domain.policy.decide import Question, Verdict, decide
from strongroom.s3.domain.policy.document import Policy, parse_bucket_policy
from strongroom.s3.domain.principals import Principal
from strongroom.s3.domain.records import BucketRecord
from strongroom.s3.handlers.call import Ask
from strongroom.s3.wire import public_access

EXISTING = "s3:existingobjecttag/"
PARSED = 1024  # bucket policies kept in parsed form; all are dropped when it is reached


class PolicyAccess:
    """An `Access` (handlers/call.py) that asks the IAM directory and the bucket's policy."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._parsed: dict[tuple[str, bytes], Policy] = {}

    def allows(self, principal: Principal, ask: Ask) -> bool:
        """Decide: root may everything; a deny from either side wins; else one side must allow."""
        if principal.root:
            return True
        question = _question(principal, ask)
        identity = self._directory.verdict(principal, question)
        if identity is Verdict.DENY:
            return False
        bucket = self._of_bucket(ask.record, question)
        if bucket is Verdict.ALLOW and not self._reaches(principal, ask, question):
            bucket = Verdict.SILENT
        if bucket is Verdict.DENY:
            return False
        return Verdict.ALLOW in (identity, bucket) or _by_list(principal, ask)

    def _reaches(self, principal: Principal, ask: Ask, question: Question) -> bool:
        """Say whether what the bucket's policy allows is for this caller.

        Not for one without a signature where the public access block says so. What it allows a user is bounded, for the
        user's service accounts and sessions, by their own policies (AWS: session policies); what it allows to
        everybody, or to their own names, is not.
        """
        credential = principal.credential
        if credential is None:
            return not _restricted(ask.record)
        own = self._directory.own_verdict(credential, question)
        if own in (None, Verdict.ALLOW):
            return True
        alone = replace(question, principals=(credential.access_key,))
        return self._of_bucket(ask.record, alone) is Verdict.ALLOW

    def asks_for_tags(self, record: BucketRecord) -> bool:
        """Say whether the bucket's policy, or any identity policy, has a condition on the tags of existing objects."""
        return mentions(record.config.get("policy", b"").decode(), EXISTING) or self._directory.mentions(EXISTING)

    def _of_bucket(self, record: BucketRecord | None, question: Question) -> Verdict:
        text = record.config.get("policy") if record else None
        if record is None or not text:
            return Verdict.SILENT
        policy = self._parsed.get((record.name, text))
        if policy is None:
            if len(self._parsed) >= PARSED:
                self._parsed.clear()
            try:
                policy = self._parsed[record.name, text] = parse_bucket_policy(text, record.name)
            except Malformed:
                return Verdict.DENY  # it was checked when it was put: what cannot be read lets nobody in
        return decide([policy], question)


def _by_list(principal: Principal, ask: Ask) -> bool:
    """Say whether an access control list allows it: the object's that comes with the question, or the bucket's."""
    record = ask.record
    if record is None or not acl.enabled(record.config):
        return False
    names = set() if public_access.read(record.config.get(public_access.NAME)).ignore_public_acls else {acl.ALL_USERS}
    credential = principal.credential
    if credential is not None:
        names |= {acl.AUTHENTICATED} if names else set()
        names |= {credential.access_key}  # not its owner: a session's own policy would not bound that
    if ask.action in acl.OBJECT_ACTIONS:
        return acl.grants_to(ask.acl, names, acl.OBJECT_ACTIONS[ask.action])
    permission = acl.BUCKET_ACTIONS.get(ask.action)
    return permission is not None and acl.grants_to(record.config.get(acl.NAME, b""), names, permission)


def _restricted(record: BucketRecord | None) -> bool:
    """Say whether the bucket's public access block lets nobody in without a signature, whatever its policy says."""
    return record is not None and public_access.read(record.config.get(public_access.NAME)).restrict_public_buckets


def _question(principal: Principal, ask: Ask) -> Question:
    resource = f"{ask.bucket}/{ask.key}" if ask.key else ask.bucket
    credential = principal.credential
    names = () if credential is None else tuple({credential.access_key, credential.owner or credential.access_key})
    return Question(ask.action, resource, names, ask.conditions)
