"""Users: add, list, info, enable, disable, remove (mc.md 10.5)."""

from strongroom.errors import Denied
from strongroom.messages import Response
from strongroom.s3.domain.iam.directory import Directory, NoSuchUser
from strongroom.s3.domain.iam.records import DISABLED, ENABLED, User
from strongroom.s3.handlers.admin.desk import DONE, Errand, opt
from strongroom.s3.handlers.iam_store import with_status
from strongroom.s3.wire.admin import parse_object, refused, render_json, text_of, to_json

STATUSES = {ENABLED: True, DISABLED: False}


def check_access_key(name: str) -> str:
    """Return the name; raise the refusal of one that no access key may have."""
    if not 3 <= len(name) <= 128 or any(c in name for c in "=,/\\ ") or not name.isprintable():
        raise refused(
            "XMinioAdminInvalidAccessKey", "The access key is invalid. (3 to 128 characters, no '=', ',', '/')"
        )
    return name


def check_secret(secret: str) -> str:
    """Return the secret; raise the refusal of one that is too short or too long."""
    if not 8 <= len(secret) <= 40:
        text = "The secret key is invalid. (secret key length should be between 8 and 40)"
        raise refused("XMinioAdminInvalidSecretKey", text)
    return secret


def refuse_account(directory: Directory, name: str) -> None:
    """Raise the refusal of a user called as a service account or session is: its requests would be another's."""
    if name in directory.accounts:
        raise refused("XMinioAdminInvalidAccessKey", "The access key is a service account's.")


def find_user(directory: Directory, name: str) -> User:
    """Return a user's entry; raise NoSuchUser."""
    user = directory.users.get(name)
    if user is None:
        raise NoSuchUser(name)
    return user


async def add_user(errand: Errand) -> Response:
    """Make a user or give it another secret; its policies stay."""
    name = check_access_key(errand.argument("accessKey"))
    if name == errand.directory.root.access_key:
        raise Denied("the root user is set by the server's environment")
    refuse_account(errand.directory, name)
    record = parse_object(await errand.opened())
    old = errand.directory.users.get(name)
    user = User(
        secret=check_secret(text_of(record, "secretKey")),
        enabled=STATUSES.get(text_of(record, "status", ENABLED) or ENABLED, False),
        policies=old.policies if old else (),
    )
    await errand.desk.iam.save("users", name, user)
    return DONE


def describe(directory: Directory, name: str, user: User) -> dict[str, object]:
    """Return a user as listings show it."""
    return opt(
        policyName=",".join(user.policies),
        status=ENABLED if user.enabled else DISABLED,
        memberOf=directory.groups_of(name),
        updatedAt=user.updated,
    )


async def list_users(errand: Errand) -> Response:
    """Return all users, in a container."""
    users = errand.directory.users
    return await errand.sealed(to_json({name: describe(errand.directory, name, users[name]) for name in sorted(users)}))


async def user_info(errand: Errand) -> Response:
    """Return one user. Everybody may ask about itself."""
    name = errand.argument("accessKey")
    if name != errand.principal.name:
        errand.authorise("admin:GetUser")
    return render_json(describe(errand.directory, name, find_user(errand.directory, name)))


async def set_user_status(errand: Errand) -> Response:
    """Enable or disable a user."""
    name = errand.argument("accessKey")
    enabled = STATUSES.get(errand.argument("status"))
    if enabled is None:
        raise refused("XMinioAdminInvalidArgument")
    action = "admin:EnableUser" if enabled else "admin:DisableUser"
    errand.authorise(action)
    await errand.desk.iam.save("users", name, with_status(find_user(errand.directory, name), enabled))
    return DONE


async def remove_user(errand: Errand) -> Response:
    """Remove a user with its accounts."""
    name = errand.argument("accessKey")
    find_user(errand.directory, name)
    await errand.desk.iam.remove_user(name)
    return DONE
