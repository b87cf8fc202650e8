"""How much one caller may ask, and how long a request may have waited: so that nobody's haste is everybody's wait.

Each worker counts for itself, in memory.
"""

from starlette.types import Scope

BURST = 2.0
"""Seconds' worth of calls that may come at once."""
MOST = 50_000
"""Callers remembered, about 10 MB; those that could start afresh anyway are then forgotten."""

CAME = "murmeli.came"
"""Where in the scope the moment is at which a request was there, by the event loop's clock."""
SHED = "murmeli.shed"
"""Set in the scope where a request was refused because it had waited too long."""

LATE = 0.25
"""Seconds that a request may have waited for its turn: somebody else's page is not made faster by waiting longer."""
SUSTAINED = 0.5
"""Seconds for which requests have to come late before one is refused: a pause of the process is no overload."""
QUIET = 1.0
"""Seconds without a late request after which the overload is over."""

_ROUNDING = 1e-6


class Rates:
    """The generic cell rate algorithm (ITU-T I.371): one number a caller, the moment at which what they did is paid."""

    def __init__(self, key_rate: float, customer_rate: float) -> None:
        self._key_rate, self._customer_rate = key_rate, customer_rate
        self._paid: dict[str | tuple[str, str], float] = {}

    def wait(self, prefix: str, customer: str | None, now: float) -> float:
        """Seconds to wait before a call with this key may be made; 0.0: it may be made now, and is counted.

        customer: for whom alone a front end acts.
        """
        wait = self._wait((prefix, customer), self._customer_rate, now) if customer is not None else 0.0
        return wait or self._wait(prefix, self._key_rate, now)

    def _wait(self, who: str | tuple[str, str], rate: float, now: float) -> float:
        paid = max(self._paid.get(who, 0.0), now) + 1 / rate
        ahead = paid - now - max(BURST, 1 / rate)
        if ahead > _ROUNDING:
            return ahead
        if len(self._paid) >= MOST:
            self._paid = {known: until for known, until in self._paid.items() if until > now}
        self._paid[who] = paid
        return 0.0


class Overload:
    """Whether more comes in than can be answered. Requests wait where nobody sees it; how long, tells."""

    def __init__(self) -> None:
        self._first = self._last = float("-inf")

    def sheds(self, scope: Scope, now: float) -> bool:
        """Whether to refuse this request, which is then marked."""
        if now - scope.get(CAME, now) <= LATE:
            return False
        if now - self._last > QUIET:
            self._first = now
        self._last = now
        scope[SHED] = now - self._first > SUSTAINED
        return bool(scope[SHED])
