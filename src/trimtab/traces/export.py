"""Runs out of the store, one after the other, in a format by name. Memory holds one page of runs."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

import msgspec
from sqlalchemy import Connection

from trimtab.store import Cursor, Database, RunRow, Selection, Standing, calls, entries, runs
from trimtab.traces.chat_export import lines_of
from trimtab.traces.chat_line import ChatLine
from trimtab.traces.otlp_export import Tracer
from trimtab.traces.tree import read_tree

_PAGE = 100
_encode = msgspec.json.Encoder(decimal_format="number").encode


def chat_lines(
    database: Database, run: RunRow, count_trial: Callable[[str], int] = lambda _: 0
) -> list[ChatLine]:
    """A run's conversations, each as a line of chat. Raises StoreUnavailable."""

    def work(connection: Connection) -> list[ChatLine]:
        made = calls.of_run_with_content(connection, run.tenant, run.id)
        paid = entries.of_run(connection, run.tenant, run.id)
        return list(lines_of(run, made, paid, count_trial))

    return database.read(work)


class Exporter:
    """`providers` is `providers_of` the settings' endpoints, `service` our name; both are for spans."""

    def __init__(
        self, database: Database, standing: Standing, providers: Mapping[str, str], service: str = "trimtab"
    ) -> None:
        self._database, self._standing = database, standing
        self._providers, self._service = providers, service
        self._trials: Counter[str] = Counter()
        self._formats: Mapping[str, Callable[[RunRow], Iterator[bytes]]] = {
            "openai": self._chat,
            "otel": self._otlp,
        }

    @property
    def formats(self) -> tuple[str, ...]:
        """The formats there are."""
        return tuple(self._formats)

    def lines(self, selection: Selection, format: str) -> Iterator[bytes]:
        """The selected runs in the order they began. Raises KeyError, StoreUnavailable."""
        write = self._formats[format]
        for run in self._runs(selection):
            yield from write(run)

    def _runs(self, selection: Selection) -> Iterator[RunRow]:
        after: Cursor | None = None
        while True:
            page = self._page(selection, after)
            yield from page
            if len(page) < _PAGE:
                return
            after = Cursor(page[-1].started_at, page[-1].tenant, page[-1].id)

    def _page(self, selection: Selection, after: Cursor | None) -> list[RunRow]:
        return self._database.read(
            lambda connection: runs.following(connection, selection, self._standing, after, _PAGE)
        )

    def _chat(self, run: RunRow) -> Iterator[bytes]:
        for line in chat_lines(self._database, run, self._count_trial):
            yield _encode(line) + b"\n"

    def _otlp(self, run: RunRow) -> Iterator[bytes]:
        yield Tracer(read_tree(self._database, run), self._providers, self._service).line()

    def _count_trial(self, name: str) -> int:
        self._trials[name] += 1
        return self._trials[name] - 1
