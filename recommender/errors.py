"""Everything that Murmeli raises on purpose.

    MurmeliError                 catch this to catch them all
    ├── UsageError               the caller asked for what cannot be: exit code 2, HTTP 400
    ├── NotFoundError            no such placement, model, item or customer: HTTP 404
    ├── ConflictError            two truths about one thing, such as a second strong identity: HTTP 409
    ├── ErasedError              an identity that was erased, and must not come back: HTTP 410
    ├── RefusedError             the gate says no: exit code 3, HTTP 409
    ├── ArtefactError            a model that is damaged, foreign or from the future: never loaded
    └── StoreError               the store cannot be opened, read or written
        └── StoreFullError       no room left to write; reading goes on: HTTP 507

A message says what was found, what was wanted and what to do. It may go to a
caller over HTTP, so it never holds a value that a caller sent; the command
line, whose caller is its reader, may add one.
"""

from collections.abc import Sequence


class MurmeliError(Exception):
    """The root of the tree."""


class UsageError(MurmeliError):
    """The caller asked for something that cannot be."""


class NotFoundError(MurmeliError):
    """There is no such thing here."""


class ConflictError(MurmeliError):
    """Two truths about one thing."""


class ErasedError(MurmeliError):
    """An identity that was erased: nothing is kept of it any more, late events included."""

    def __init__(self) -> None:
        super().__init__(
            "This identity was erased, and nothing is kept of it any more. Give the customer a new one, or lift the "
            "erasure (`murmeli customers lift`)."
        )


class RefusedError(MurmeliError):
    """The gate refused. reasons: a sentence each."""

    def __init__(self, model: str, reasons: Sequence[str]) -> None:
        super().__init__(
            f"The gate refuses {model}. To promote it all the same, force it with a reason: it is recorded."
        )
        self.reasons = tuple(reasons)


class ArtefactError(MurmeliError):
    """A model artefact that must not be loaded."""


class StoreError(MurmeliError):
    """The store cannot do its work."""


class StoreFullError(StoreError):
    """There is no room left to write."""
