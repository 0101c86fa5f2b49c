"""The exact response cache: the same request of the same tenant gets the same reply, for nothing."""

from collections import OrderedDict
from hashlib import blake2b

from trimtab.core import Clock, Surface
from trimtab.core.errors import StoreUnavailable
from trimtab.store import Database, RecallRecord, Writer, recalls
from trimtab.wire import canonical

_MOST_KEPT = 2_000


class ExactRecall:
    """Constructed by `app/`. Memory first, then the store, which all processes share."""

    def __init__(self, database: Database, writer: Writer, clock: Clock) -> None:
        self._database, self._writer, self._clock = database, writer, clock
        self._kept: OrderedDict[tuple[str, str], RecallRecord] = OrderedDict()

    def digest(self, surface: Surface, body: bytes) -> str:
        """What makes two requests the same: everything that can change the reply."""
        return blake2b(surface.encode() + b"\0" + canonical(body), digest_size=20).hexdigest()

    async def find(self, tenant: str, digest: str) -> RecallRecord | None:
        """The kept reply, if there is a fresh one. A database that is away is a miss."""
        now = self._clock.now()
        kept = self._kept.get((tenant, digest))
        if kept is None:
            try:
                kept = await self._database.run(lambda c: recalls.find(c, tenant, digest, now))
            except StoreUnavailable:
                return None
            if kept is not None:
                self._remember(kept)
        return kept if kept is not None and kept.expires_at > now else None

    def keep(self, tenant: str, digest: str, model: str, reply: bytes, seconds: int) -> None:
        """Keep a reply for `seconds`."""
        record = RecallRecord(tenant, digest, model, self._clock.now() + seconds, reply)
        self._remember(record)
        self._writer.append(record)

    def _remember(self, record: RecallRecord) -> None:
        self._kept[record.tenant, record.digest] = record
        if len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)
