"""How much one caller may ask, and how long a request may have waited: so that nobody's haste is everybody's wait.

Each worker counts for itself, in memory.
"""

BURST = 2.0
"""Seconds' worth of calls that may come at once."""
MOST = 50_000
"""Callers remembered, about 10 MB; those that could start afresh anyway are then forgotten."""

CAME = "murmeli.came"
"""Where in the scope the moment is at which a request was there, by the event loop's clock."""

LATE = 0.25
"""Seconds that a request may have waited for its turn: somebody else's page is not made faster by waiting longer."""
SUSTAINED = 0.5
"""Seconds for which requests have to come late before one is refused: a pause of the process is no overload."""
QUIET, RETURN = 1.0, 2.5
"""Seconds after which an overload is over, unless a request came late, or was refused: who was refused comes again."""
LEAST_ROOM = 8
"""Requests that may wait whatever is going on."""

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
    """Whether more comes in than can be answered. Requests wait where nobody sees it; how long, tells.

    While it lasts, as many are let in as are begun in LATE seconds; the others are refused before anything is done.
    """

    def __init__(self) -> None:
        self._first = self._last = self._until = float("-inf")
        self._waiting = self._begun = 0
        self._since, self._room = 0.0, LEAST_ROOM

    def admits(self, now: float) -> bool:
        """Whether a request that comes now may wait for its turn; then `begins` must follow."""
        if self._waiting >= self._room and now <= self._until and self._last - self._first > SUSTAINED:
            self._until = now + RETURN
            return False
        self._waiting += 1
        return True

    def begins(self, came: float, now: float) -> None:
        """A request that was admitted has its turn."""
        self._waiting -= 1
        self._begun += 1
        if now - self._since > LATE:
            self._room = max(LEAST_ROOM, int(self._begun * LATE / (now - self._since)))
            self._since, self._begun = now, 0
        if now - came > LATE:
            if now > self._until:
                self._first = now
            self._last, self._until = now, max(self._until, now + QUIET)
