import time
from collections import defaultdict, deque

# A bound on memory: of more addresses than these the limit forgets what it has counted.
ADDRESSES = 10_000


class RateLimit:
    """So many within so many seconds from one address; each of Odoo's worker processes counts by itself."""

    def __init__(self, limit, seconds, clock=time.monotonic):
        self.limit = limit
        self.seconds = seconds
        self.clock = clock
        self._taken = defaultdict(deque)

    def take(self, address):
        """Count one more. Return whether it is within the limit; what is not is not counted."""
        now = self.clock()
        if len(self._taken) >= ADDRESSES and address not in self._taken:
            self._taken.clear()
        taken = self._taken[address]
        while taken and taken[0] <= now - self.seconds:
            taken.popleft()
        if len(taken) >= self.limit:
            return False
        taken.append(now)
        return True
