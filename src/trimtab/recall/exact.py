"""The exact response cache: the same request of the same tenant gets the same reply, for nothing."""

import logging
from collections import OrderedDict
from hashlib import blake2b

from trimtab.core import Clock, Surface
from trimtab.core.errors import StoreUnavailable
from trimtab.store import Database, RecallRecord, Writer, recalls
from trimtab.wire import canonical

_log = logging.getLogger(__name__)
_MOST_KEPT = 2_000
_MOST_BYTES = 64 * 1024 * 1024
_FIND_SECONDS = 0.5


class ExactRecall:
    """Constructed by `app/`. Memory first, then the store, which all processes share."""

    def __init__(self, database: Database, writer: Writer, clock: Clock) -> None:
        self._database, self._writer, self._clock = database, writer, clock
        self._kept: OrderedDict[tuple[str, str], RecallRecord] = OrderedDict()
        self._bytes = 0

    def digest(self, surface: Surface, body: bytes) -> str:
        """What makes two requests the same: everything that can change the reply."""
        return blake2b(surface.encode() + b"\0" + canonical(body), digest_size=20).hexdigest()

    async def find(self, tenant: str, digest: str) -> RecallRecord | None:
        """The kept reply, if there is a fresh one. A database that is away is a miss."""
        now = self._clock.now()
        kept = self._kept.get((tenant, digest))
        if kept is None or kept.expires_at <= now:
            try:
                kept = await self._database.run(lambda c: recalls.find(c, tenant, digest, now), _FIND_SECONDS)
            except StoreUnavailable:
                return None
            if kept is not None:
                self._remember(kept)
        return kept if kept is not None and kept.expires_at > now else None

    def keep(self, tenant: str, digest: str, model: str, reply: bytes, seconds: int) -> None:
        """Keep a reply for `seconds`."""
        record = RecallRecord(tenant, digest, model, self._clock.now() + seconds, reply)
        try:
            self._writer.append(record)
        except OSError as error:
            _log.warning("a reply is not kept: %s", error)
            return
        self._remember(record)

    def _remember(self, record: RecallRecord) -> None:
        """Keep it in memory, in place of the oldest."""
        self._forget((record.tenant, record.digest))
        self._kept[record.tenant, record.digest] = record
        self._bytes += len(record.reply)
        while len(self._kept) > _MOST_KEPT or self._bytes > _MOST_BYTES:
            self._forget(next(iter(self._kept)))

    def _forget(self, known: tuple[str, str]) -> None:
        record = self._kept.pop(known, None)
        if record is not None:
            self._bytes -= len(record.reply)
