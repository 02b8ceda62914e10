import pytest

from strongroom.errors import Malformed
from strongroom.s3.domain.iam.directory import Directory, NoSuchPolicy
from strongroom.s3.domain.iam.records import Account, Group, NamedPolicy, User
from strongroom.s3.domain.policy.decide import Question, Verdict
from strongroom.s3.domain.principals import ANONYMOUS, Credential, Principal

ROOT = Credential("minio", "minio123", root=True)
GET = Question("s3:GetObject", "b/k")
PUT = Question("s3:PutObject", "b/k")


def policy(*actions, effect="Allow"):
    names = ",".join(f'"{action}"' for action in actions)
    statement = f'{{"Effect":"{effect}","Action":[{names}],"Resource":["arn:aws:s3:::*"]}}'
    return f'{{"Version":"2012-10-17","Statement":[{statement}]}}'


@pytest.fixture
def directory():
    found = Directory(ROOT)
    found.put("users", "ann", User(secret="secret-ann", policies=("readonly",)))
    found.put("users", "bob", User(secret="secret-bob"))
    found.put("groups", "writers", Group(members=("bob",), policies=("writeonly",)))
    return found


def verdict(directory, name, question):
    return directory.verdict(Principal(directory.find(name)), question)


def test_users_have_their_own_and_their_groups_policies(directory):
    assert verdict(directory, "ann", GET) is Verdict.ALLOW
    assert verdict(directory, "ann", PUT) is Verdict.SILENT
    assert verdict(directory, "bob", PUT) is Verdict.ALLOW
    directory.put("groups", "writers", Group(members=("bob",), policies=("writeonly",), enabled=False))
    assert verdict(directory, "bob", PUT) is Verdict.SILENT
    assert directory.groups_of("bob") == ["writers"]


def test_root_may_everything_and_nobody_nothing(directory):
    assert verdict(directory, "minio", Question("admin:ServiceStop")) is Verdict.ALLOW
    assert directory.verdict(ANONYMOUS, GET) is Verdict.SILENT
    assert directory.find("nobody") is None


def test_a_changed_policy_counts_at_once(directory):
    directory.put("users", "bob", User(secret="x", policies=("own",)))
    assert verdict(directory, "bob", GET) is Verdict.SILENT
    directory.put("policies", "own", NamedPolicy(document=policy("s3:Get*")))
    assert verdict(directory, "bob", GET) is Verdict.ALLOW
    directory.put("policies", "own", NamedPolicy(document=policy("s3:Get*", effect="Deny")))
    assert verdict(directory, "bob", GET) is Verdict.DENY
    directory.drop("policies", "own")
    assert verdict(directory, "bob", GET) is Verdict.SILENT
    with pytest.raises(NoSuchPolicy):
        directory.document("own")


def test_a_session_can_only_narrow(directory):
    directory.put("accounts", "s1", Account(secret="x", parent="ann", policy=policy("s3:*")))
    assert verdict(directory, "s1", GET) is Verdict.ALLOW
    assert verdict(directory, "s1", PUT) is Verdict.SILENT
    directory.put("accounts", "s1", Account(secret="x", parent="ann", policy=policy("s3:PutObject")))
    assert verdict(directory, "s1", GET) is Verdict.SILENT
    directory.put("accounts", "s1", Account(secret="x", parent="minio", policy=policy("s3:PutObject")))
    assert verdict(directory, "s1", PUT) is Verdict.ALLOW
    assert verdict(directory, "s1", Question("admin:ServerInfo")) is Verdict.SILENT
    directory.put("accounts", "s1", Account(secret="x", parent="minio", policy="not json"))
    assert verdict(directory, "s1", PUT) is Verdict.DENY


def test_an_account_ends_with_its_owner(directory):
    directory.put("accounts", "s1", Account(secret="x", parent="ann"))
    assert directory.find("s1").enabled
    directory.put("users", "ann", User(secret="x", enabled=False))
    assert not directory.find("s1").enabled
    directory.drop("users", "ann")
    assert not directory.find("s1").enabled


@pytest.mark.parametrize(
    "entry",
    [
        User(secret="x", policies=("a", "b")),
        Group(members=("a",)),
        NamedPolicy(document="{}"),
        Account(secret="x", parent="p", expires=7),
    ],
)
def test_entries_read_what_they_write_and_hide_secrets(entry):
    assert type(entry).from_bytes(entry.to_bytes()) == entry
    assert "'x'" not in repr(entry)
    with pytest.raises(Malformed):
        type(entry).from_bytes(b'{"secret": 1}')


def test_a_policy_that_cannot_be_read_denies(directory):
    """It may have been one that denies: newer rules about documents must not let anybody in."""
    directory.put("policies", "odd", NamedPolicy(document='{"Version":"2012-10-17","Statement":[{"Effect":"Forbid"}]}'))
    directory.put("users", "ann", User(secret="secret-ann", policies=("readonly", "odd")))
    assert verdict(directory, "ann", GET) is Verdict.DENY
    assert verdict(directory, "ann", Question("admin:ServerInfo")) is Verdict.DENY
    assert verdict(directory, "ann", Question("s3:ListAllMyBuckets")) is Verdict.DENY


def test_whether_a_policy_looks_at_tags(directory):
    word = "s3:existingobjecttag/"
    assert not directory.mentions(word)
    directory.put(
        "policies", "tags", NamedPolicy(document='{"Condition":{"StringEquals":{"s3:ExistingObjectTag/a":"b"}}}')
    )
    assert directory.mentions(word)
    directory.put(
        "policies", "tags", NamedPolicy(document='{"Condition":{"StringEquals":{"s3:\\u0045xistingObjectTag/a":"b"}}}')
    )
    assert directory.mentions(word)
    directory.drop("policies", "tags")
    assert not directory.mentions(word)
    directory.put("accounts", "acc", Account(secret="s", parent="ann", policy='"${s3:ExistingObjectTag/x}"'))
    assert directory.mentions(word)
