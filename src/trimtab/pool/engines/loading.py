"""How engines load and unload: LoRA adapters, models, whole engines that sleep. Each an HTTP exchange.

Sources: vllm/entrypoints/serve/lora/api_router.py and serve/dev/sleep/api_router.py of vLLM 0.32 (they need
VLLM_ALLOW_RUNTIME_LORA_UPDATING=1, VLLM_SERVER_DEV_MODE=1); "LoRA Serving" of the SGLang docs; docs/api.md of Ollama.
"""

from collections.abc import Mapping

from trimtab.core.errors import UpstreamError
from trimtab.pool.endpoint import Endpoint
from trimtab.pool.engines.door import EngineDoor

_LEAST_SECONDS = 60.0
_LOAD_ADAPTER = {"vllm": "/v1/load_lora_adapter", "sglang": "/load_lora_adapter"}
_UNLOAD_ADAPTER = {"vllm": "/v1/unload_lora_adapter", "sglang": "/unload_lora_adapter"}
_FOR_EVER = -1
_NOT_FOUND = 404


async def load_adapter(door: EngineDoor, endpoint: Endpoint, model: str) -> None:
    """Raises UpstreamError. An adapter somebody else has loaded is loaded."""
    settings = endpoint.settings
    body = {"lora_name": upstream_name(endpoint, model), "lora_path": settings.adapters[model]}
    try:
        await _told(door, endpoint, _LOAD_ADAPTER[settings.engine], body)
    except UpstreamError as error:
        if error.status != 400 or "already" not in error.message:
            raise


async def unload_adapter(door: EngineDoor, endpoint: Endpoint, model: str) -> None:
    """Raises UpstreamError. One that is not there is unloaded."""
    path = _UNLOAD_ADAPTER[endpoint.settings.engine]
    try:
        await _told(door, endpoint, path, {"lora_name": upstream_name(endpoint, model)}, missing=True)
    except UpstreamError as error:
        if error.status != 400:
            raise


async def load_model(door: EngineDoor, endpoint: Endpoint, model: str) -> None:
    """Ollama loads on a request without a prompt; until we say else it keeps it. Raises UpstreamError."""
    body = {"model": upstream_name(endpoint, model), "keep_alive": _FOR_EVER, "stream": False}
    await _told(door, endpoint, "/api/generate", body)


async def unload_model(door: EngineDoor, endpoint: Endpoint, model: str) -> None:
    """Raises UpstreamError."""
    body = {"model": upstream_name(endpoint, model), "keep_alive": 0, "stream": False}
    await _told(door, endpoint, "/api/generate", body, missing=True)


async def wake(door: EngineDoor, endpoint: Endpoint) -> None:
    """A vLLM takes its memory again. Raises UpstreamError."""
    await _told(door, endpoint, "/wake_up", {})


async def put_to_sleep(door: EngineDoor, endpoint: Endpoint) -> None:
    """A vLLM ends what runs, keeps its weights in main memory, drops its KV cache (level 1). Raises UpstreamError."""
    await _told(door, endpoint, "/sleep?level=1&mode=wait", {})


def upstream_name(endpoint: Endpoint, model: str) -> str:
    """What the endpoint calls it."""
    return endpoint.settings.upstream_names.get(model, model)


async def _told(
    door: EngineDoor, endpoint: Endpoint, path: str, body: Mapping[str, object], *, missing: bool = False
) -> None:
    """`missing`: what is not there need not be unloaded."""
    seconds = max(_LEAST_SECONDS, 10 * endpoint.settings.load_seconds)
    try:
        await door.post(endpoint, path, body, seconds)
    except UpstreamError as error:
        if error.status != _NOT_FOUND:
            raise
        if not missing:
            raise UpstreamError(
                f"{error.message} (see docs/vllm.md for how to start it so that it loads on demand)",
                endpoint=endpoint.name,
                status=_NOT_FOUND,
                code=error.code,
                retryable=False,
            ) from error
