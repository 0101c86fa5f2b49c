"""Checks across tables once each is well-formed: names that must exist, values that only make sense together.

`load.py` calls `check_settings` after decoding. The first fault is raised as a ConfigError with line and key.
"""

import math
import re
from collections.abc import Iterable, Mapping
from urllib.parse import SplitResult, urlsplit

from trimtab.config.engines import check_engine
from trimtab.config.environment import is_database
from trimtab.config.schema import close_to, quoted
from trimtab.config.serving import EndpointSettings
from trimtab.config.settings import Settings
from trimtab.config.source import Key, Source
from trimtab.config.terms import MatchKey, PolicySettings, VerifierSettings

SHIPPED_POLICIES = ("pinned", "cheapest", "fastest", "weighted", "cascade")

_REQUIRED = {"weighted": "weights", "cascade": "verifiers"}
_READ_BY = {
    "endpoint": ("pinned",),
    "until": ("fastest",),
    "weights": ("weighted",),
    "verifiers": ("cascade",),
    "hedge": ("pinned", "cheapest", "fastest", "weighted"),
}
_FUNCTION = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_SECRET_HEADERS = {"authorization", "proxy-authorization", "x-api-key", "api-key", "cookie"}


def check_settings(settings: Settings, source: Source | None = None) -> None:
    """Raise ConfigError at the first fault that only shows when tables are read together."""
    source = source or Source()
    for check in (_names, _server, _endpoints, _models, _policies, _rules, _budgets, _rates, _workflows):
        check(settings, source)


def is_function(text: str) -> bool:
    """Whether a text has the form `package.module:function`."""
    return _FUNCTION.fullmatch(text) is not None


def served_models(settings: Settings) -> set[str]:
    """Every model that some endpoint serves."""
    return {model for endpoint in settings.endpoint for model in endpoint.models}


def _names(settings: Settings, source: Source) -> None:
    for table in ("model", "endpoint", "tenant", "tool"):
        names = [entry.name for entry in getattr(settings, table)]
        _distinct(names, (table,), source, "name")


def _distinct(names: Iterable[str], key: Key, source: Source, *field: str) -> None:
    seen: dict[str, Key] = {}
    for index, name in enumerate(names):
        here = (*key, index, *field)
        if name and name in seen:
            raise source.error(
                here, f"{quoted(name)} is named twice, first on line {source.line(seen[name])}; remove one"
            )
        seen[name] = here


def _server(settings: Settings, source: Source) -> None:
    if not is_database(settings.server.database):
        raise source.error(
            ("server", "database"),
            f'expected "sqlite" or a postgresql:// URL, got {quoted(settings.server.database)}',
        )
    if settings.telemetry.otlp_endpoint:
        _url(settings.telemetry.otlp_endpoint, ("telemetry", "otlp_endpoint"), source)


def _url(url: str, key: Key, source: Source) -> SplitResult:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise source.error(key, f"{quoted(url)} is no URL: {error}") from None
    if parts.scheme not in ("http", "https") or not host or not url.isprintable() or " " in url:
        raise source.error(key, f"expected http://HOST or https://HOST, got {quoted(url)}")
    return parts


def _endpoints(settings: Settings, source: Source) -> None:
    for index, endpoint in enumerate(settings.endpoint):
        key: Key = ("endpoint", index)
        _endpoint_url(endpoint, (*key, "url"), source)
        _distinct(endpoint.models, (*key, "models"), source)
        _headers(endpoint, (*key, "headers"), source)
        check_engine(endpoint, key, source)
        for name in endpoint.upstream_names:
            if name not in endpoint.models:
                raise source.error(
                    (*key, "upstream_names", name),
                    f"{quoted(name)} is not in `models` of endpoint {quoted(endpoint.name)}"
                    f"{close_to(name, endpoint.models)}",
                )
        if endpoint.breaker.max_cooldown_seconds < endpoint.breaker.cooldown_seconds:
            raise source.error(
                (*key, "breaker", "max_cooldown_seconds"),
                f"expected cooldown_seconds ({endpoint.breaker.cooldown_seconds}) or more",
            )


def _endpoint_url(endpoint: EndpointSettings, key: Key, source: Source) -> None:
    parts = _url(endpoint.url, key, source)
    if parts.username is not None or parts.password is not None:
        raise source.error(key, "secrets do not stand in the file; name a variable with `api_key_env`")
    if parts.query or parts.fragment:
        raise source.error(
            key, f"a base URL ends with its path; take off what follows it: {quoted(endpoint.url)}"
        )


def _headers(endpoint: EndpointSettings, key: Key, source: Source) -> None:
    for name, value in endpoint.headers.items():
        if name.lower() in _SECRET_HEADERS:
            raise source.error(
                (*key, name), "secrets do not stand in the file; name a variable with `api_key_env`"
            )
        if not _HEADER_NAME.fullmatch(name) or not (value.isascii() and value.isprintable()):
            raise source.error((*key, name), "expected an HTTP header: a name, and a value in plain ASCII")


def _models(settings: Settings, source: Source) -> None:
    served = served_models(settings)
    for index, model in enumerate(settings.model):
        key: Key = ("model", index)
        if model.candidates and model.name in served:
            raise source.error(
                (*key, "candidates"),
                f"{quoted(model.name)} stands for other models, so no endpoint may serve it; rename one",
            )
        if not model.candidates and model.name not in served:
            raise source.error(
                (*key, "name"),
                f"no endpoint serves {quoted(model.name)} and it has no `candidates`"
                f"{close_to(model.name, served)}",
            )
        _served(model.candidates, (*key, "candidates"), served, source)
        _distinct(model.candidates, (*key, "candidates"), source)
        if model.policy:
            _policy(model.policy, (*key, "policy"), settings, source)
        if model.price_as and not re.fullmatch(r"[^/\s]+/\S+", model.price_as):
            raise source.error((*key, "price_as"), f'expected "provider/model", got {quoted(model.price_as)}')


def _served(names: Iterable[str], key: Key, served: set[str], source: Source) -> None:
    for index, name in enumerate(names):
        _must_be_served(name, (*key, index), served, source)


def _must_be_served(name: str, key: Key, served: set[str], source: Source) -> None:
    if name not in served:
        raise source.error(key, f"no endpoint serves {quoted(name)}{close_to(name, served)}")


def _policy(name: str, key: Key, settings: Settings, source: Source) -> None:
    if name in settings.policy or is_function(name):
        return
    if name not in SHIPPED_POLICIES:
        raise source.error(
            key,
            f"there is no policy {quoted(name)}{close_to(name, [*SHIPPED_POLICIES, *settings.policy])} "
            f"(one of {', '.join(SHIPPED_POLICIES)}, a [policy.NAME], or module:function)",
        )
    if name in _REQUIRED:
        raise source.error(
            key,
            f"{quoted(name)} needs `{_REQUIRED[name]}`; write a [policy.NAME] with kind = {quoted(name)} "
            "and name that here",
        )


def _policies(settings: Settings, source: Source) -> None:
    _policy(settings.default_policy, ("default_policy",), settings, source)
    served = served_models(settings)
    endpoints = {endpoint.name for endpoint in settings.endpoint}
    for name, policy in settings.policy.items():
        key: Key = ("policy", name)
        _kind(policy, key, source)
        _served(policy.models, (*key, "models"), served, source)
        _distinct(policy.models, (*key, "models"), source)
        if policy.endpoint and policy.endpoint not in endpoints:
            raise source.error(
                (*key, "endpoint"),
                f"there is no endpoint {quoted(policy.endpoint)}{close_to(policy.endpoint, endpoints)}",
            )
        _weights(policy, (*key, "weights"), served, source)
        for index, verifier in enumerate(policy.verifiers):
            _verifier(verifier, (*key, "verifiers", index, "value"), source)


def _kind(policy: PolicySettings, key: Key, source: Source) -> None:
    """The kind exists, has what it needs, and reads every option that is given."""
    if is_function(policy.kind):
        return
    if policy.kind not in SHIPPED_POLICIES:
        raise source.error(
            (*key, "kind"),
            f"expected {', '.join(SHIPPED_POLICIES)} or module:function, got {quoted(policy.kind)}"
            f"{close_to(policy.kind, SHIPPED_POLICIES)}",
        )
    needed = _REQUIRED.get(policy.kind)
    if needed and not getattr(policy, needed):
        raise source.error((*key, "kind"), f"{quoted(policy.kind)} needs `{needed}`; add `{needed} = ...`")
    plain = PolicySettings(kind=policy.kind)
    for option, kinds in _READ_BY.items():
        if policy.kind not in kinds and getattr(policy, option) != getattr(plain, option):
            raise source.error(
                (*key, option), f"{quoted(policy.kind)} does not read it, only {', '.join(kinds)}; remove it"
            )


def _weights(policy: PolicySettings, key: Key, served: set[str], source: Source) -> None:
    for name in policy.weights:
        _must_be_served(name, (*key, name), served, source)
    if policy.weights and sum(policy.weights.values()) <= 0:
        raise source.error(key, "expected at least one weight above 0")


def _verifier(verifier: VerifierSettings, key: Key, source: Source) -> None:
    if verifier.kind == "python" and not is_function(verifier.value):
        raise source.error(key, f'expected "module:function", got {quoted(verifier.value)}')
    if verifier.kind == "controller" and not verifier.value.endswith("/verify"):
        raise source.error(key, f'expected "WORKFLOW/verify", got {quoted(verifier.value)}')
    if verifier.kind == "logprob" and not _is_log_probability(verifier.value):
        raise source.error(key, f'expected a number of 0 or less, e.g. "-0.5", got {quoted(verifier.value)}')


def _is_log_probability(text: str) -> bool:
    try:
        return -math.inf < float(text) <= 0
    except ValueError:
        return False


def _rules(settings: Settings, source: Source) -> None:
    served = served_models(settings)
    _distinct((rule.name for rule in settings.rule), ("rule",), source, "name")
    for index, rule in enumerate(settings.rule):
        key: Key = ("rule", index)
        if rule.policy:
            _policy(rule.policy, (*key, "policy"), settings, source)
        _served(rule.models, (*key, "models"), served, source)
        _distinct(rule.models, (*key, "models"), source)


def _budgets(settings: Settings, source: Source) -> None:
    for index, budget in enumerate(settings.budget):
        _match(budget.match, ("budget", index, "match"), source)


def _match(match: Mapping[MatchKey, str], key: Key, source: Source) -> None:
    for field, value in match.items():
        if value == "*":
            raise source.error((*key, field), f'"*" matches no {field}; leave it out to mean every {field}')


def _rates(settings: Settings, source: Source) -> None:
    for index, rate in enumerate(settings.rate):
        if not rate.requests_per_minute and not rate.tokens_per_minute:
            raise source.error(
                ("rate", index), "limits nothing; give `requests_per_minute` or `tokens_per_minute`"
            )
        _match(rate.match, ("rate", index, "match"), source)


def _workflows(settings: Settings, source: Source) -> None:
    served = served_models(settings)
    for name, workflow in settings.workflow.items():
        key: Key = ("workflow", name)
        tools = workflow.tools
        for field in ("read_only", "write_allowed"):
            _distinct(getattr(tools, field), (*key, "tools", field), source)
        for index, tool in enumerate(tools.write_allowed):
            if tool in tools.read_only:
                raise source.error(
                    (*key, "tools", "write_allowed", index),
                    f"{quoted(tool)} is in `read_only` already; a tool either writes or it does not",
                )
        _distinct(workflow.controllers or (), (*key, "controllers"), source)
        for label, models in workflow.routes.items():
            _served(models, (*key, "routes", label), served, source)
        if workflow.escalate_to:
            _must_be_served(workflow.escalate_to, (*key, "escalate_to"), served, source)
        if workflow.graph and not is_function(workflow.graph):
            raise source.error(
                (*key, "graph"), f'expected "package.module:graph", got {quoted(workflow.graph)}'
            )
        if "{label}" not in workflow.classify.reply:
            raise source.error((*key, "classify", "reply"), "expected a text with {label} in it")
