"""A bound on hedging: second attempts are paid for by calls, so that they stay a small share of them.

Source: tied and hedged requests with a budget, Dean and Barroso, The Tail at Scale (2013).
"""

import msgspec

_PARTS = 1_000_000


class HedgeBudget(msgspec.Struct, frozen=True, gc=False):
    """A token bucket as a value, in millionths of a hedge. From its start, hedges <= share of the calls.

    `share_parts`: what each call earns (50,000 is 5 %); `cap_parts`: how much may be saved up for a bad
    moment.
    """

    share_parts: int = 50_000
    cap_parts: int = 10 * _PARTS
    parts: int = 0

    @property
    def allows(self) -> bool:
        """Whether a hedge is paid for."""
        return self.parts >= _PARTS

    def after_call(self) -> "HedgeBudget":
        """The bucket after a first attempt was sent."""
        parts = min(self.cap_parts, self.parts + self.share_parts)
        return HedgeBudget(self.share_parts, self.cap_parts, parts)

    def after_hedge(self) -> "HedgeBudget":
        """The bucket after a hedge was sent. Raises `ValueError` where `allows` is False."""
        if not self.allows:
            raise ValueError("no hedge is paid for")
        return HedgeBudget(self.share_parts, self.cap_parts, self.parts - _PARTS)


def hedge_budget(share: float) -> HedgeBudget:
    """A bucket for `share` extra calls (0.05 is 5 %). Raises `ValueError` outside 0..1."""
    if not 0 <= share <= 1:
        raise ValueError(f"expected a share of 0..1, got {share}")
    return HedgeBudget(share_parts=round(share * _PARTS))
