"""The terms of a connection to PostgreSQL, and whether it still stands."""

import select

CONNECT_SECONDS = 3
_STATEMENT_MILLISECONDS = 30_000
_IDLE_MILLISECONDS = 2_000
POSTGRES_TERMS: dict[str, str | int] = {
    "connect_timeout": CONNECT_SECONDS,
    # A process that was stopped in a transaction must not keep others from its rows.
    "options": f"-c statement_timeout={_STATEMENT_MILLISECONDS} "
    f"-c idle_in_transaction_session_timeout={_IDLE_MILLISECONDS}",
    # A database machine that vanishes without a word is noticed within about ten seconds.
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}


def speaks(file: int) -> bool:
    """Whether the server has said something unasked: as a rule that it goes."""
    poll = select.poll()
    poll.register(file, select.POLLIN)
    return bool(poll.poll(0))
