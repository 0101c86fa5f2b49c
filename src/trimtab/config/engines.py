"""Words of `[[endpoint]]` about the engine behind it; and the addresses that follow from its `url`.

`serving.py` has the fields, `check.py` calls `check_engine` for each endpoint.
"""

from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from trimtab.config.source import Key, Source

if TYPE_CHECKING:
    from trimtab.config.serving import EndpointSettings

EngineName = Literal["", "vllm", "sglang", "llama.cpp", "ollama", "dynamo"]
PassedOn = Literal["priority", "request_id", "agent_hints"]
Profile = Literal["interactive", "batch", "any"]

_TAKES: dict[PassedOn, tuple[EngineName, ...]] = {
    "priority": ("vllm", "sglang"),
    "agent_hints": ("dynamo",),
}
_LOADS_ADAPTERS = ("vllm", "sglang")


def engine_root(settings: "EndpointSettings") -> str:
    """Where the engine's own pages begin: the base URL without its `/v1`."""
    return settings.url.rstrip("/").removesuffix("/v1")


def metrics_page(settings: "EndpointSettings") -> str:
    """The URL of its Prometheus page."""
    return settings.metrics_url or engine_root(settings) + "/metrics"


def check_engine(settings: "EndpointSettings", key: Key, source: Source) -> None:
    """Raise ConfigError where what is said of the engine cannot be."""
    _passed_on(settings, key, source)
    _adapters(settings, key, source)
    engine = settings.engine
    if settings.metrics_url:
        _metrics_url(settings, (*key, "metrics_url"), source)
    if settings.model_slots and engine != "ollama":
        raise source.error(
            (*key, "model_slots"), _only(settings, "loads models on demand", ("ollama",), "model_slots")
        )
    if settings.shares and engine != "vllm":
        raise source.error((*key, "shares"), _only(settings, "can be put to sleep", ("vllm",), "shares"))


def _passed_on(settings: "EndpointSettings", key: Key, source: Source) -> None:
    for index, what in enumerate(settings.pass_on):
        takers = _TAKES.get(what)
        if what in settings.pass_on[:index]:
            raise source.error((*key, "pass_on", index), f'"{what}" stands here twice; remove one')
        if takers is not None and settings.engine not in takers:
            raise source.error(
                (*key, "pass_on", index), _only(settings, f'takes "{what}"', takers, f'"{what}"')
            )


def _adapters(settings: "EndpointSettings", key: Key, source: Source) -> None:
    if settings.adapters and settings.engine not in _LOADS_ADAPTERS:
        raise source.error(
            (*key, "adapters"), _only(settings, "loads adapters when asked", _LOADS_ADAPTERS, "adapters")
        )
    for name, path in settings.adapters.items():
        if name not in settings.models:
            raise source.error(
                (*key, "adapters", name),
                f'clients ask for an adapter as for a model; add "{name}" to `models` of this endpoint',
            )
        if not path:
            raise source.error(
                (*key, "adapters", name), "expected where the engine finds it: a path or a name"
            )


def _metrics_url(settings: "EndpointSettings", key: Key, source: Source) -> None:
    if settings.engine in ("", "ollama"):
        raise source.error(
            key,
            "an endpoint without `engine`, or of Ollama, has no metrics page; remove it, or name its engine",
        )
    parts = urlsplit(settings.metrics_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise source.error(key, f'expected http://HOST/metrics, got "{settings.metrics_url}"')


def _only(settings: "EndpointSettings", does: str, engines: tuple[str, ...], what: str) -> str:
    given = f'this one is "{settings.engine}"' if settings.engine else "this endpoint names none"
    names = " or ".join(f'"{name}"' for name in engines)
    return f"only the engine {names} {does}, and {given}; set `engine`, or remove {what}"
