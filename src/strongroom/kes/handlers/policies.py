"""The policy and identity routes (kes.md 1.6): read-only views of the configuration."""

from collections.abc import Iterable

import msgspec

from strongroom.kes.domain.errors import BadIdentity, BadPattern, BadPolicyName, IdentityNotFound, PolicyNotFound
from strongroom.kes.domain.names import valid_name, valid_pattern
from strongroom.kes.domain.policy import Policy
from strongroom.kes.handlers.call import JSON, Call, listed
from strongroom.kes.wire.errors import html_safe
from strongroom.messages import Response


def describe_policy(call: Call) -> Response:
    """`GET /v1/policy/describe/<name>`."""
    policy = _policy(call)
    return _answer({"name": policy.name, "created_at": call.state.started, "created_by": call.state.policies.admin})


def read_policy(call: Call) -> Response:
    """`GET /v1/policy/read/<name>`."""
    policy = _policy(call)
    return _answer({"name": policy.name, **_rules(policy), **_origin(call)})


def list_policies(call: Call) -> Response:
    """`GET /v1/policy/list/<pattern>`."""
    names = _selected(call, call.state.policies.by_name)
    return listed(call, "name", names) or _answer({"names": names, "continue_at": ""})


def describe_identity(call: Call) -> Response:
    """`GET /v1/identity/describe/<identity>`; the configured admin is described even if it can match nobody."""
    identity, policies = call.argument, call.state.policies
    if not valid_name(identity):
        raise BadIdentity(identity)
    if identity == policies.admin:
        return _answer({"admin": True, "created_at": call.state.started})
    policy = policies.by_identity.get(identity)
    if policy is None:
        raise IdentityNotFound(identity)
    return _answer({"policy": policy.name, **_origin(call)})


def list_identities(call: Call) -> Response:
    """`GET /v1/identity/list/<pattern>`, the admin among them."""
    policies = call.state.policies
    names = _selected(call, {policies.admin, *policies.by_identity})

    def policy(name: str) -> dict[str, object]:
        found = policies.by_identity.get(name)
        return {"policy": found.name} if found is not None else {"admin": True}

    return listed(call, "identity", names, policy) or _answer({"identities": names, "continue_at": ""})


def describe_self(call: Call) -> Response:
    """`GET /v1/identity/self/describe`: the caller's own rules, in the form that today's SDK reads (kes.md 1.6)."""
    identity, policies = call.identity, call.state.policies
    if identity and identity == policies.admin:
        return _answer({"identity": identity, "admin": True, "created_at": call.state.started})
    policy = policies.by_identity.get(identity)
    if policy is None:
        raise IdentityNotFound(identity)
    return _answer({"identity": identity, **_origin(call), "policy": policy.name, **_rules(policy)})


def _policy(call: Call) -> Policy:
    if not valid_name(call.argument):
        raise BadPolicyName(call.argument)
    policy = call.state.policies.by_name.get(call.argument)
    if policy is None:
        raise PolicyNotFound(call.argument)
    return policy


def _rules(policy: Policy) -> dict[str, object]:
    both = {"allow": policy.allow, "deny": policy.deny}
    return {name: {pattern: {} for pattern in sorted(patterns)} for name, patterns in both.items() if patterns}


def _origin(call: Call) -> dict[str, object]:
    return {"created_at": call.state.started, "created_by": call.state.policies.admin}


def _selected(call: Call, names: Iterable[str]) -> list[str]:
    if not valid_pattern(call.argument):
        raise BadPattern(call.argument)
    prefix = call.argument.removesuffix("*")
    return sorted(name for name in names if name.startswith(prefix))


def _answer(document: dict[str, object]) -> Response:
    return Response(200, JSON, html_safe(msgspec.json.encode(document)) + b"\n")
