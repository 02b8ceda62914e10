"""auth/cert/: login with the client certificate of the TLS connection."""

from typing import TYPE_CHECKING

import msgspec
from cryptography import x509

from strongroom.kms.domain import acl, certificates
from strongroom.kms.domain.cidrs import within
from strongroom.kms.domain.entries import View
from strongroom.kms.domain.errors import Failed, Forbidden, Nothing, Refused
from strongroom.kms.domain.records import Mount, Token
from strongroom.kms.handlers import logins
from strongroom.kms.handlers.call import Backend, Call, Renewal, Reply, Router, route
from strongroom.kms.handlers.logins import TokenRules

if TYPE_CHECKING:
    from strongroom.kms.handlers.core import Core

CERT = "cert/"
LISTS = (
    "allowed_names",
    "allowed_common_names",
    "allowed_dns_sans",
    "allowed_email_sans",
    "allowed_uri_sans",
    "allowed_organizational_units",
)
FIELDS = logins.FIELDS | logins.OLDER | dict.fromkeys(LISTS, "list") | {"certificate": "text", "display_name": "text"}
UNKEPT = ("required_extensions", "ocsp_enabled")  # what would take trust away elsewhere
NO_CERTIFICATE = "invalid certificate or no client certificate supplied"
NO_MATCH = "failed to match all constraints for this login certificate"


class Trusted(TokenRules):
    """A certificate that vouches for clients, with what theirs must say."""

    name: str = ""
    certificate: str = ""
    display_name: str = ""
    allowed_names: list[str] = msgspec.field(default_factory=list)
    allowed_common_names: list[str] = msgspec.field(default_factory=list)
    allowed_dns_sans: list[str] = msgspec.field(default_factory=list)
    allowed_email_sans: list[str] = msgspec.field(default_factory=list)
    allowed_uri_sans: list[str] = msgspec.field(default_factory=list)
    allowed_organizational_units: list[str] = msgspec.field(default_factory=list)

    OLD = logins.OLDER_NAMES

    def allows(self, leaf: x509.Certificate) -> bool:
        """Say whether a client's certificate says what it must."""
        found = certificates.names(leaf)
        every = found["cn"] + found["dns"] + found["email"]
        demands = (
            (self.allowed_names, every),
            (self.allowed_common_names, found["cn"]),
            (self.allowed_dns_sans, found["dns"]),
            (self.allowed_email_sans, found["email"]),
            (self.allowed_uri_sans, found["uri"]),
            (self.allowed_organizational_units, found["ou"]),
        )
        return all(certificates.any_matches(patterns, values) for patterns, values in demands)


class Cert(Backend):
    """A certificate auth method."""

    kind = "cert"

    def __init__(self, core: "Core", mount: Mount) -> None:
        super().__init__(mount)
        self.core = core
        one = {acl.READ: self.read, acl.UPDATE: self.write, acl.DELETE: self.delete}
        self.router = Router(
            [
                route("login", {acl.UPDATE: self.login}, fields={"name": "text"}, open=True),
                route("certs/?", {acl.LIST: self.list_certs}),
                route("certs/(?P<name>[^/]+)", one, fields=FIELDS, exists=self.exists),
            ]
        )

    def trusted(self, view: View, name: str) -> Trusted | None:
        """Return a trusted certificate by a name in any case."""
        return view.load(CERT + name.lower(), Trusted)  # type: ignore[no-any-return]

    def exists(self, call: Call) -> bool:
        """Say whether a trusted certificate is there."""
        return self.trusted(call.view, call.captures["name"]) is not None

    def list_certs(self, call: Call) -> Reply:
        """Return the names of the trusted certificates."""
        names = call.view.names(CERT)
        if not names:
            raise Nothing("certs")
        return Reply(data={"keys": names})

    def read(self, call: Call) -> Reply:
        """Return a trusted certificate."""
        found = self.trusted(call.view, call.captures["name"])
        if found is None:
            raise Nothing("cert")
        return Reply(data={k: v for k, v in found.shown().items() if k != "name"})

    def write(self, call: Call) -> None:
        """Make or change a trusted certificate."""
        name = call.captures["name"].lower()
        found = self.trusted(call.view, name) or Trusted(name=name)
        for demand in UNKEPT:
            if call.data.get(demand) not in (None, False, "false", "", []):
                raise Refused(f"{demand} is not supported: certificates would be trusted without it")
        found.take(call)
        for field in (*LISTS, "certificate", "display_name"):
            if call.has(field):
                setattr(found, field, call.get(field))
        if not certificates.load(found.certificate):
            raise Refused("failed to parse certificate")
        found.display_name = found.display_name or name
        call.view.store(CERT + name, found)

    def delete(self, call: Call) -> None:
        """Forget a trusted certificate."""
        call.view.delete(CERT + call.captures["name"].lower())

    def login(self, call: Call) -> Reply:
        """Exchange the connection's client certificate for a token."""
        presented = certificates.parse(call.peer.certificates)
        if not presented:
            raise Refused(NO_CERTIFICATE)
        found = self._match(call, presented)
        if found is None:
            raise Refused(NO_MATCH)
        if not within(call.peer.address, found.token_bound_cidrs):
            raise Forbidden("permission denied")
        leaf = presented[0]
        name = next(iter(certificates.names(leaf)["cn"]), "")
        serial = str(leaf.serial_number)
        return logins.log_in(
            call,
            found,
            alias=name or serial,
            display_name=f"cert-{found.display_name}",
            metadata={"cert_name": found.name, "common_name": name, "serial_number": serial},
            internal={"cert": found.name, "serial": serial},
        )

    def _match(self, call: Call, presented: list[x509.Certificate]) -> Trusted | None:
        wanted = call.get("name")
        names = [wanted.lower()] if wanted else call.view.names(CERT)
        for name in names:
            found = self.trusted(call.view, name)
            if found is None:
                continue
            if self._vouches(found, presented, call.seconds):
                return found
        return None

    def _vouches(self, found: Trusted, presented: list[x509.Certificate], now: int) -> bool:
        anchors = certificates.load(found.certificate)
        return certificates.trusted(presented, anchors, now) and found.allows(presented[0])

    def renewed(self, call: Call, token: Token) -> Renewal:
        """Return the present rules; raise Failed unless the connection shows the login's certificate again."""
        found = self.trusted(View(call.work, self.mount.prefix), str(token.internal.get("cert", "")))
        if found is None:
            raise Failed("no longer a valid certificate")
        presented = certificates.parse(call.peer.certificates)
        if not presented or str(presented[0].serial_number) != token.internal.get("serial"):
            raise Failed("client identity during renewal not matching client identity used during login")
        if not self._vouches(found, presented, call.seconds):  # anybody can make a certificate with that number
            raise Failed("client identity during renewal not matching client identity used during login")
        return found.renewal(token)
