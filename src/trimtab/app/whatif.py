"""What recorded calls would have cost under another trimtab.toml: opens both settings and the store, and replays."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from trimtab.app.policies import check_rules, policies_of
from trimtab.app.store import load_config, open_database
from trimtab.config import Loaded, Settings, prices_of
from trimtab.core import SystemClock
from trimtab.core.errors import ConfigError, DataError
from trimtab.simulation.whatif import Replay, Trial, WhatIf, report_of
from trimtab.store import Database, Selection, keys, migrate, url_of
from trimtab.traces import Importer, completed_at

Progress = Callable[[str, int, int], None]


def what_if(
    policy: Path, config: Path | None, traces: Path | None, selection: Selection, progress: Progress
) -> WhatIf:
    """The report. `traces`: a file of recorded runs instead of the store that `config` names.

    Raises ConfigError, DataError, StoreUnavailable.
    """
    tried = load_config(policy)
    _require_endpoints(tried, policy)
    check_rules(tried)
    policies, prices = policies_of(tried.settings), prices_of(tried.settings)
    with _recorded(config, traces, progress) as (in_force, database):
        limits = database.read(keys.limits)
        trial = Trial(tried.settings, in_force, policies, prices, completed_at(in_force), selection, limits)
        replay = Replay(trial, database, lambda done, total: progress("replaying", done, total))
        replay.play()
    if not replay.calls:
        raise _nothing(config, traces, selection)
    return report_of(replay, str(policy), _source(config, traces))


def what_if_policy(settings: Settings, database: Database, selection: Selection, policy: str) -> WhatIf:
    """The report of recorded calls had one policy, by its name in the settings, chosen for all of them; budgets, keys'
    limits and rates are left aside, as these hang on everybody else's calls too.

    Raises ConfigError, StoreUnavailable.
    """
    plain = tuple(msgspec.structs.replace(model, policy="") for model in settings.model)
    tried = msgspec.structs.replace(settings, default_policy=policy, rule=(), model=plain, budget=(), rate=())
    policies, prices = policies_of(tried), prices_of(tried)
    trial = Trial(tried, settings, policies, prices, completed_at(settings), selection, key_limits={})
    replay = Replay(trial, database, lambda done, total: None)
    replay.play()
    return report_of(replay, policy, "the store")


def _require_endpoints(loaded: Loaded, policy: Path) -> None:
    if not loaded.settings.endpoint:
        raise ConfigError(
            "it has no endpoint, so every call would be refused; write a whole trimtab.toml",
            file=str(policy),
            key="endpoint",
        )


@contextmanager
def _recorded(
    config: Path | None, traces: Path | None, progress: Progress
) -> Iterator[tuple[Settings, Database]]:
    if traces is None:
        with open_database(config) as opened:
            yield opened
        return
    with TemporaryDirectory(prefix="trimtab-whatif-") as folder:
        database = Database(url_of("sqlite", Path(folder)))
        try:
            migrate(database)
            _read(database, traces, progress)
            yield load_config(config).settings, database
        finally:
            database.close()


def _read(database: Database, traces: Path, progress: Progress) -> None:
    """Raises DataError at the first line that cannot be read: a report of half a file would mislead."""
    read = Importer(database, None, SystemClock.now()).read(
        traces, lambda done, total: progress(f"reading {traces.name}", done, total)
    )
    if read.errors:
        more = f" (and {len(read.errors) - 1:,} more such lines)" if len(read.errors) > 1 else ""
        raise DataError(read.errors[0].removeprefix(f"{traces}: ") + more, file=str(traces))


def _source(config: Path | None, traces: Path | None) -> str:
    if traces is not None:
        return traces.name
    return "the store" if config is None else f"the store of {config}"


def _nothing(config: Path | None, traces: Path | None, selection: Selection) -> DataError:
    limits = [
        name for name in ("since", "until", "tenant", "workflow") if getattr(selection, name) is not None
    ]
    asked = f" with this {' and '.join('--' + name for name in limits)}" if limits else ""
    remedy = (
        "`trimtab traces list` shows what there is" if limits else "calls are recorded by `trimtab serve`"
    )
    return DataError(f"there are no recorded calls{asked}", file=_source(config, traces), remedy=remedy)
