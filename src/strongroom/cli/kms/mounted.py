"""`enable`, `list`, `tune`, `move`, `disable`: alike for secrets engines and auth methods (vault.md 10.3)."""

from dataclasses import dataclass

from strongroom.cli.kms import mounts
from strongroom.cli.kms.call import Call
from strongroom.cli.kms.faults import ServerFault


@dataclass(frozen=True, slots=True)
class Mounted:
    """One of the two kinds of mounts: what it is called, where its routes lie. TYPE in a text is the mounted type."""

    noun: str
    route: str
    prefix: str  # before the path where all mounts are named alike
    enabled: str
    enable_failed: str
    list_failed: str

    @property
    def _is_auth(self) -> bool:
        return bool(self.prefix)

    def enable(self, call: Call) -> int:
        """Mount one."""
        kind = call.flag("plugin-name") if call.words[0] == "plugin" else call.words[0]
        path = (call.flag("path") or kind).strip("/")
        try:
            call.client.request("POST", f"{self.route}/{path}", mounts.enabling_body(call, kind))
        except ServerFault as fault:
            raise fault.under(self.enable_failed.replace("TYPE", kind)) from None
        return call.success(f"{self.enabled.replace('TYPE', kind)} at: {path}/")

    def list(self, call: Call) -> int:
        """Show all."""
        try:
            found = mounts.entries(call, self.route)
        except ServerFault as fault:
            raise fault.under(self.list_failed) from None
        if call.detailed:
            text = mounts.long_table(found, token_type=self._is_auth)
        else:
            text = mounts.short_table(found, version=self._is_auth)
        call.show(found, text)
        return 0

    def tune(self, call: Call) -> int:
        """Change the settings of one."""
        path = mounts.slashed(call.words[0])
        try:
            secret = call.client.write(f"sys/mounts/{self.prefix}{path}tune", mounts.tuning_body(call), "POST")
        except ServerFault as fault:
            raise fault.under(f"Error tuning {self.noun} {path}") from None
        if secret:
            call.warn(secret.warnings)
        return call.success(f"Tuned the {self.noun} at: {path}")

    def move(self, call: Call) -> int:
        """Move one to another path."""
        source, target = map(mounts.slashed, call.words)
        try:
            return mounts.move(call, self.noun, self.prefix + source, self.prefix + target)
        except ServerFault as fault:
            raise fault.under(f"Error moving {self.noun} {source} to {target}") from None

    def disable(self, call: Call) -> int:
        """Unmount one."""
        path = mounts.slashed(call.words[0])
        try:
            call.client.delete(f"{self.route}/{path}")
        except ServerFault as fault:
            raise fault.under(f"Error disabling {self.noun} at {path}") from None
        return call.success(f"Disabled the {self.noun} (if it existed) at: {path}")


ENGINES = Mounted(
    "secrets engine",
    "sys/mounts",
    "",
    "Enabled the TYPE secrets engine",
    "Error enabling",
    "Error listing secrets engines",
)
METHODS = Mounted(
    "auth method",
    "sys/auth",
    "auth/",
    "Enabled TYPE auth method",
    "Error enabling TYPE auth",
    "Error listing enabled authentications",
)
