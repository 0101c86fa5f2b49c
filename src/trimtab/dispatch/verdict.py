"""Stage 7's judgement of replies: runs a planned attempt's verifiers on what the endpoint said."""

from trimtab.core import Verdict, Verifier
from trimtab.routing import Verifiers, VerifyContext
from trimtab.wire import BrokenReply, read_reply


def judge(
    verifiers: Verifiers, checks: tuple[Verifier, ...], chat_reply: bytes, context: VerifyContext
) -> Verdict | None:
    """The first verdict that rejects, None where all accept."""
    try:
        reply = read_reply(chat_reply)
    except BrokenReply as error:
        return Verdict(False, "shape", error.message)
    for check in checks:
        verdict = verifiers.verify(check, reply, context)
        if not verdict.accepted:
            return verdict
    return None
