"""Stage 7's judgement of replies: runs a planned attempt's verifiers on what the endpoint said."""

from functools import partial

from trimtab.core import Verdict, Verifier
from trimtab.dispatch.foreign import SECONDS, Foreign
from trimtab.routing import Verifiers, VerifyContext
from trimtab.wire import BrokenReply, read_reply

UNREADABLE = "shape"


class Judge:
    """Constructed by `journey`."""

    def __init__(self, verifiers: Verifiers) -> None:
        self._verifiers, self._foreign = verifiers, Foreign()

    async def verdict(
        self, checks: tuple[Verifier, ...], chat_reply: bytes, context: VerifyContext
    ) -> Verdict | None:
        """The first verdict that rejects, None where all accept. A function that hangs has not accepted."""
        motion = partial(judge, self._verifiers, checks, chat_reply, context)
        own = next((check for check in checks if check.kind in ("python", "controller")), None)
        if own is None:
            return motion()
        try:
            return await self._foreign.run(motion)
        except TimeoutError:
            by = f"{own.kind}:{own.value}"
            return Verdict(False, by, f"{own.value!r} gave no answer within {SECONDS:g} s")


def judge(
    verifiers: Verifiers, checks: tuple[Verifier, ...], chat_reply: bytes, context: VerifyContext
) -> Verdict | None:
    """The first verdict that rejects, None where all accept."""
    try:
        reply = read_reply(chat_reply)
    except BrokenReply as error:
        return Verdict(False, UNREADABLE, error.message)
    for check in checks:
        verdict = verifiers.verify(check, reply, context)
        if not verdict.accepted:
            return verdict
    return None
