"""What became of each thing that was to be copied."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from strongroom.cli.kms.client import Client
from strongroom.cli.kms.faults import ServerFault


class State(Enum):
    """The outcome for one thing. MISSING and DIFFERS leave the target as it was."""

    COPIED = "copied"
    SAME = "already there"
    MISSING = "missing"  # only with -dry-run
    DIFFERS = "differs"  # the target has something else under the name; -overwrite replaces it
    FAILED = "failed"
    LEFT = "not copied"  # of a kind that cannot be copied


BAD = (State.MISSING, State.DIFFERS, State.FAILED)


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the report."""

    kind: str
    name: str
    state: State
    detail: str = ""


@dataclass(slots=True)
class Transfer:
    """One run: where from, where to, what may be changed, and what has been done so far."""

    source: Client
    target: Client
    dry_run: bool
    overwrite: bool
    tell: Callable[[Item], None]
    items: list[Item] = field(default_factory=list)

    def note(self, kind: str, name: str, state: State, detail: str = "") -> None:
        """Add a line to the report and show it."""
        item = Item(kind, name, state, detail)
        self.items.append(item)
        self.tell(item)

    def settle(self, kind: str, name: str, work: Callable[..., tuple[State, str]], *words: object) -> None:
        """Do the work for one thing and note its outcome; a refusal by either server is that thing's failure only."""
        try:
            state, detail = work(*words)
        except ServerFault as fault:
            state, detail = State.FAILED, fault.text.replace("\n\n", "; ").replace("\n", "; ")
        self.note(kind, name, state, detail)

    def put(self, there: bool, same: bool, write: Callable[[], None], detail: str = "") -> tuple[State, str]:
        """Decide from what the target has: write what is missing, or what differs if that is allowed."""
        if there and same:
            return State.SAME, ""
        if self.dry_run:
            return (State.DIFFERS if there else State.MISSING), ""
        if there and not self.overwrite:
            return State.DIFFERS, "left as it is; -overwrite replaces it"
        write()
        return State.COPIED, detail

    def counts(self) -> Counter[State]:
        """Return how many things ended in each state."""
        return Counter(item.state for item in self.items)

    @property
    def good(self) -> bool:
        """Whether everything that can be copied is there."""
        return not any(item.state in BAD for item in self.items)
