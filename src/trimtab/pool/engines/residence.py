"""Which endpoints have a model or an adapter in memory, and how it gets there when a call needs it."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from trimtab.core import Clock
from trimtab.pool.endpoint import Endpoint
from trimtab.pool.engines.door import EngineDoor
from trimtab.pool.engines.loading import (
    load_adapter,
    load_model,
    put_to_sleep,
    unload_adapter,
    unload_model,
    upstream_name,
    wake,
)
from trimtab.pool.engines.report import EngineReport
from trimtab.pool.engines.shelf import Item, Shelf
from trimtab.scheduling import ResidencyRules

_Needs = tuple[tuple[Shelf, str], ...]


class Residence:
    """Constructed by `app/`. Endpoints that load nothing have no shelf, and cost nothing here."""

    def __init__(self, door: EngineDoor, endpoints: Mapping[str, Endpoint], clock: Clock) -> None:
        self._endpoints = endpoints
        self._adapters = {
            name: _adapter_shelf(door, one, clock) for name, one in endpoints.items() if one.settings.adapters
        }
        self._models = {
            name: _model_shelf(door, one, clock)
            for name, one in endpoints.items()
            if one.settings.model_slots
        }
        self._sleepers = _sleeper_shelves(door, endpoints, clock)
        self._needed: dict[str, dict[str, _Needs]] = {}
        self._missing: dict[str, set[str]] = {}
        for shelf in {*self._adapters.values(), *self._models.values(), *self._sleepers.values()}:
            shelf.on_change = self._missing.clear
        for name, endpoint in endpoints.items():
            for model in endpoint.settings.models:
                needs = self._needs(name, model)
                if needs:
                    self._needed.setdefault(model, {})[name] = needs
                    endpoint.loads = partial(self.ready, name)

    def heed(self, name: str, report: EngineReport) -> None:
        """What an engine says is loaded."""
        upstream = partial(upstream_name, self._endpoints[name])
        if name in self._adapters and report.adapters is not None:
            known = self._endpoints[name].settings.adapters
            loaded = frozenset(model for model in known if upstream(model) in report.adapters)
            self._adapters[name].told(loaded, report.at)
        if name in self._models and report.models is not None:
            known_models = self._endpoints[name].settings.models
            loaded = frozenset(model for model in known_models if upstream(model) in report.models)
            self._models[name].told(loaded, report.at)
        if name in self._sleepers:
            self._sleepers[name].heard(name, report.at, there=not report.asleep)

    def has(self, name: str, model: str) -> bool:
        """Whether a call for `model` at the endpoint needs nothing loaded."""
        return _are_met(self._needed.get(model, {}).get(name, ()))

    def among(self, model: str, names: Sequence[str]) -> Sequence[str]:
        """Of the endpoints that may serve it, those that have it, and those where loading it would pay.

        All of them where nobody has it: then whoever is chosen loads it.
        """
        needed = self._needed.get(model)
        if needed is None or len(names) < 2:
            return names
        missing = self._missing.get(model)
        if missing is None:
            missing = self._missing[model] = {name for name, needs in needed.items() if not _are_met(needs)}
        there = [name for name in names if name not in missing]
        if not there or len(there) == len(names):
            return names
        wait = min(_wait_seconds(self._endpoints[name]) for name in there)
        if not wait:
            return there
        return [name for name in names if name not in missing or _pays(needed[name], wait)]

    async def ready(self, name: str, model: str, seconds: float) -> Callable[[], None]:
        """Have what a call for `model` at the endpoint needs, within `seconds`. Call what is given when it is over.

        Raises UpstreamError.
        """
        releases: list[Callable[[], None]] = []
        try:
            for shelf, item in self._needed.get(model, {}).get(name, ()):
                releases.append(await shelf.ready(item, seconds))
        except BaseException:
            _release(releases)
            raise
        return partial(_release, releases)

    def adapters(self, name: str) -> frozenset[str]:
        """The adapters we know to be loaded at an endpoint, by our names for them."""
        shelf = self._adapters.get(name)
        return frozenset() if shelf is None else shelf.loaded

    @property
    def loads(self) -> Mapping[str, int]:
        """How often we loaded something, by endpoint or group."""
        shelves = {**self._adapters, **self._models}
        shelves |= {self._endpoints[name].settings.shares: one for name, one in self._sleepers.items()}
        return {name: shelf.loads for name, shelf in shelves.items()}

    def _needs(self, name: str, model: str) -> _Needs:
        """The engine awake first, then what it loads."""
        needs = []
        if name in self._sleepers:
            needs.append((self._sleepers[name], name))
        if name in self._models:
            needs.append((self._models[name], model))
        if name in self._adapters and model in self._endpoints[name].settings.adapters:
            needs.append((self._adapters[name], model))
        return tuple(needs)


def _are_met(needs: _Needs) -> bool:
    return all(shelf.has(item) for shelf, item in needs)


def _pays(needs: _Needs, saved_seconds: float) -> bool:
    return all(shelf.has(item) or shelf.pays(item, saved_seconds) for shelf, item in needs)


def _wait_seconds(endpoint: Endpoint) -> float:
    """About how long a call waits there for its place."""
    ahead = endpoint.queued + max(0, endpoint.in_flight - endpoint.share + 1)
    return endpoint.speed.p50 * ahead / max(1, endpoint.share)


def _adapter_shelf(door: EngineDoor, endpoint: Endpoint, clock: Clock) -> Shelf:
    settings = endpoint.settings
    items = {
        model: Item(
            endpoint.name,
            partial(load_adapter, door, endpoint, model),
            partial(unload_adapter, door, endpoint, model),
        )
        for model in settings.adapters
    }
    return Shelf(items, ResidencyRules(settings.adapter_slots), settings.load_seconds, clock)


def _model_shelf(door: EngineDoor, endpoint: Endpoint, clock: Clock) -> Shelf:
    settings = endpoint.settings
    items = {
        model: Item(
            endpoint.name,
            partial(load_model, door, endpoint, model),
            partial(unload_model, door, endpoint, model),
        )
        for model in settings.models
    }
    return Shelf(items, ResidencyRules(settings.model_slots), settings.load_seconds, clock)


def _sleeper_shelves(door: EngineDoor, endpoints: Mapping[str, Endpoint], clock: Clock) -> dict[str, Shelf]:
    """By endpoint; those that share a GPU have one shelf."""
    groups: dict[str, list[Endpoint]] = {}
    for endpoint in endpoints.values():
        if endpoint.settings.shares:
            groups.setdefault(endpoint.settings.shares, []).append(endpoint)
    shelves: dict[str, Shelf] = {}
    for group in groups.values():
        items = {
            one.name: Item(one.name, partial(wake, door, one), partial(put_to_sleep, door, one))
            for one in group
        }
        seconds = max(one.settings.load_seconds for one in group)
        shelf = Shelf(items, ResidencyRules(), seconds, clock)
        shelves |= dict.fromkeys(items, shelf)
    return shelves


def _release(releases: list[Callable[[], None]]) -> None:
    while releases:
        releases.pop()()
