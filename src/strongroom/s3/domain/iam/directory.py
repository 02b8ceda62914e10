"""All IAM entries in memory: finds credentials, and says what they may do. Nothing here waits or stores."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from strongroom.errors import Malformed, NotFound
from strongroom.s3.domain.iam.records import Account, Entry, Group, NamedPolicy, User
from strongroom.s3.domain.policy.canned import CANNED
from strongroom.s3.domain.policy.decide import Question, Verdict, decide
from strongroom.s3.domain.policy.document import Policy, Statement, parse_identity_policy
from strongroom.s3.domain.principals import Credential, Principal
from strongroom.s3.domain.refusals import Refused

NOTHING = Policy((Statement(allow=False, actions=("*",)),))  # denies everything


class NoSuchUser(NotFound):
    """No user of this name."""


class NoSuchGroup(NotFound):
    """No group of this name."""


class NoSuchPolicy(NotFound):
    """No policy of this name."""


class NoSuchAccount(NotFound):
    """No service account of this access key."""


@dataclass(slots=True)
class Directory:
    """The entries, by kind and name, and the root user. `put` and `drop` follow what was stored.

    ready is False until the entries could be read: root alone is known, others are asked to wait.
    """

    root: Credential
    users: dict[str, User] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    policies: dict[str, NamedPolicy] = field(default_factory=dict)
    accounts: dict[str, Account] = field(default_factory=dict)
    ready: bool = True
    _parsed: dict[str, Policy] = field(default_factory=dict, repr=False)
    _mentions: dict[str, bool] = field(default_factory=dict, repr=False)

    def put(self, kind: str, name: str, entry: Entry) -> None:
        """Take an entry that has been stored."""
        self._table(kind)[name] = entry
        self._forget_parsed(name)

    def drop(self, kind: str, name: str) -> None:
        """Forget an entry whose removal has been stored."""
        self._table(kind).pop(name, None)
        self._forget_parsed(name)

    def _forget_parsed(self, name: str) -> None:
        self._mentions.clear()
        self._parsed.pop(name, None)
        self._parsed.pop(_account_policy(name), None)

    def _table(self, kind: str) -> dict[str, Entry]:
        return getattr(self, kind)  # type: ignore[no-any-return]  # one of KINDS

    # ---- credentials

    def find(self, access_key: str) -> Credential | None:
        """Return the credential of an access key; disabled ones are returned as such. Raise Refused while not ready."""
        if access_key == self.root.access_key:
            return self.root
        if not self.ready:
            raise Refused("XMinioServerNotInitialized")
        if user := self.users.get(access_key):
            return Credential(access_key, user.secret, owner=access_key, enabled=user.enabled)
        account = self.accounts.get(access_key)
        if account is None:
            return None
        alive = account.enabled and self._owner_alive(account.parent)
        return Credential(
            access_key,
            account.secret,
            token=account.token,
            expires=account.expires,
            owner=account.parent,
            enabled=alive,
        )

    def _owner_alive(self, owner: str) -> bool:
        if owner == self.root.access_key:
            return True
        user = self.users.get(owner)
        return user is not None and user.enabled

    # ---- policies

    def document(self, name: str) -> str:
        """Return a policy's text, one of our own or a canned one; raise NoSuchPolicy."""
        if own := self.policies.get(name):
            return own.document
        if name in CANNED:
            return CANNED[name].decode()
        raise NoSuchPolicy(name)

    def documents(self) -> Mapping[str, str]:
        """Return all policies, canned ones included."""
        canned = {name: text.decode() for name, text in CANNED.items()}
        return canned | {name: entry.document for name, entry in self.policies.items()}

    def policy_names(self, user: str) -> Iterator[str]:
        """Yield the names of the policies that a user has, its enabled groups' included."""
        if record := self.users.get(user):
            yield from record.policies
        for group in self.groups.values():
            if group.enabled and user in group.members:
                yield from group.policies

    def groups_of(self, user: str) -> list[str]:
        """Return the groups that a user is a member of, by name."""
        return sorted(name for name, group in self.groups.items() if user in group.members)

    def _policy(self, name: str) -> Policy | None:
        if name not in self._parsed:
            try:
                self._parsed[name] = parse_identity_policy(self.document(name).encode())
            except NoSuchPolicy:
                return None  # attached, and gone since: it allows nothing
            except Malformed:
                self._parsed[name] = NOTHING  # it was checked when it was put; what cannot be read may have been a deny
        return self._parsed[name]

    def mentions(self, word: str) -> bool:
        """Say whether a policy contains a word in lower case, in any case; the answer is kept until one changes."""
        if word not in self._mentions:
            own = (entry.document for entry in self.policies.values())
            sessions = (entry.policy for entry in self.accounts.values())
            self._mentions[word] = any(mentions(text, word) for text in (*own, *sessions))
        return self._mentions[word]

    # ---- decisions

    def verdict(self, principal: Principal, question: Question) -> Verdict:
        """Say what identity policies say of a signed caller: root may do everything, a session at most its parent.

        Anonymous callers have no identity policies: SILENT.
        """
        credential = principal.credential
        if credential is None:
            return Verdict.SILENT
        if credential.root:
            return Verdict.ALLOW
        owner = credential.owner or credential.access_key
        of_owner = Verdict.ALLOW if owner == self.root.access_key else self._of_user(owner, question)
        own = self.own_verdict(credential, question)
        return of_owner if own is None else narrowest(of_owner, own)

    def own_verdict(self, credential: Credential, question: Question) -> Verdict | None:
        """Say what the policy of a service account or session says, which bounds it; None when it has none."""
        account = self.accounts.get(credential.access_key)
        return self._of_account(credential.access_key, account, question) if account and account.policy else None

    def _of_user(self, user: str, question: Question) -> Verdict:
        policies = [policy for name in self.policy_names(user) if (policy := self._policy(name))]
        return decide(policies, question)

    def _of_account(self, access_key: str, account: Account, question: Question) -> Verdict:
        name = _account_policy(access_key)
        if name not in self._parsed:
            try:
                self._parsed[name] = parse_identity_policy(account.policy.encode())
            except Malformed:
                return Verdict.DENY
        return decide([self._parsed[name]], question)


def mentions(document: str, word: str) -> bool:
    """Say whether a policy may contain a word, given in lower case; what JSON escapes could spell counts as well."""
    return "\\u" in document or word in document.lower()


def narrowest(one: Verdict, other: Verdict) -> Verdict:
    """Combine a parent's verdict with a session policy's: both must allow, either may deny."""
    if Verdict.DENY in (one, other):
        return Verdict.DENY
    return Verdict.ALLOW if one is other is Verdict.ALLOW else Verdict.SILENT


def _account_policy(access_key: str) -> str:
    return f"account {access_key}"  # a space: no named policy is called so
