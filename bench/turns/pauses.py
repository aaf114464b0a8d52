"""How long people pause inside a turn.

The public benchmark (livekit/eot-bench, English, June 2026) has 400 turns with 850 pauses of 100 ms or more, of which 705 last from 0.2 to 5 s.
It publishes what a plain timer does with the 705: it cuts off 55.6 % with 300 ms and 21.7 % with 600 ms; 1000 ms is the first step of its grid with
10 % or less, 1600 ms the first with 5 %. A timer cuts off exactly the pauses that are longer than itself, so these are points of the
distribution. Between them the logarithm of the share is interpolated; beyond 1.6 s the share is our assumption.
"""

import math

#: Share of the pauses that last 0.2 s or more.
COUNTED = 705 / 850
#: Seconds, share of the pauses of 0.1 s or more that are longer.
LONGER_THAN = [(0.10, 1.0), (0.20, COUNTED), (0.30, 0.556 * COUNTED), (0.60, 0.217 * COUNTED), (1.00, 0.10 * COUNTED), (1.60, 0.05 * COUNTED),
               (2.50, 0.013), (4.00, 0.001)]


def quantile(share):
    """The length in seconds that the given share of pauses does not pass (0 to 1)."""
    left = min(max(1.0 - share, LONGER_THAN[-1][1]), 1.0)
    for (short, more), (long, less) in zip(LONGER_THAN, LONGER_THAN[1:]):
        if left >= less:
            part = (math.log(more) - math.log(left)) / (math.log(more) - math.log(less))
            return short + part * (long - short)
    return LONGER_THAN[-1][0]


class Pauses:
    """Draws pauses so that any run of `block` draws has the distribution's quantiles: strata in random order."""

    def __init__(self, rng, block=40):
        self.rng, self.block, self.left = rng, block, []

    def draw(self):
        """The next pause in seconds, on the grid of 1 ms."""
        if not self.left:
            self.left = [(index + self.rng.random()) / self.block for index in range(self.block)]
            self.rng.shuffle(self.left)
        return round(quantile(self.left.pop()), 3)
