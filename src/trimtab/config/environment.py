"""What comes from the environment: values that win over keys of the file, and secrets the file only names.

`TRIMTAB_SERVER__PORT=9000` wins over `server.port`. Only keys that hold one value can be set this way, in the
tables of the process; models, endpoints and budgets are lists and stand in the file.
"""

from collections.abc import Mapping

import msgspec

from trimtab.config import schema
from trimtab.config.decode import number_fault
from trimtab.config.settings import Settings
from trimtab.config.source import Key, Source
from trimtab.core.errors import ConfigError

PREFIX = "TRIMTAB_"
SECTIONS = ("server", "ledger", "traces", "telemetry", "hedging", "controllers")


def overridden(settings: Settings, environ: Mapping[str, str]) -> tuple[Settings, dict[Key, str]]:
    """Settings with the environment's values, and the variable behind each key it set.

    `TRIMTAB_DEFAULT_POLICY` and `TRIMTAB_SECTION__KEY`; variables without `__`, and those that the file names
    as secrets, are left alone.
    Raises ConfigError naming the variable.
    """
    variables: dict[Key, str] = {}
    named = {settings.server.database_env, *(endpoint.api_key_env for endpoint in settings.endpoint)}
    for name in sorted(environ.keys() - named):
        key = _key_of(name)
        if key is not None:
            settings = _with_value(settings, key, name, environ[name])
            variables[key] = name
    return settings, variables


def variable_of(key: Key) -> str:
    """The variable that sets `key`: ("server", "port") -> TRIMTAB_SERVER__PORT."""
    return PREFIX + "__".join(str(part).upper() for part in key)


def _key_of(name: str) -> Key | None:
    if name == variable_of(("default_policy",)):
        return ("default_policy",)
    if not name.startswith(PREFIX) or "__" not in name:
        return None
    section, _, key = name.removeprefix(PREFIX).lower().partition("__")
    if section in SECTIONS and key in schema.keys_at((section,)):
        return (section, key)
    known = [variable_of((table, field)) for table in SECTIONS for field in schema.keys_at((table,))]
    raise _refusal(name, f"sets no key of the settings{schema.close_to(name, known)}")


def _with_value(settings: Settings, key: Key, name: str, text: str) -> Settings:
    *tables, field = (str(part) for part in key)
    holder = getattr(settings, tables[0]) if tables else settings
    hints = msgspec.structs.fields(type(holder))
    wanted = next(hint.type for hint in hints if hint.name == field)
    try:
        text.encode("utf-8")
        value = msgspec.convert(text, wanted, strict=False)
    except (msgspec.ValidationError, UnicodeEncodeError):
        raise _refusal(name, _expected(key, text)) from None
    if fault := number_fault(value):
        raise _refusal(name, fault)
    changed = msgspec.structs.replace(holder, **{field: value})
    if not tables:
        assert isinstance(changed, Settings)
        return changed
    return msgspec.structs.replace(settings, **{tables[0]: changed})


def _expected(key: Key, text: str) -> str:
    kind = schema.type_at(key)
    assert kind is not None
    about = schema.description(kind)
    return f"expected {schema.in_words(kind)}, got {schema.quoted(text)}{f' ({about})' if about else ''}"


def _refusal(variable: str, message: str) -> ConfigError:
    return ConfigError(message, file="environment", key=variable)


def secrets_of(
    settings: Settings, environ: Mapping[str, str], source: Source | None = None
) -> dict[str, str]:
    """The key of each endpoint that names one, by endpoint name; surrounding white space is dropped.

    Raises ConfigError where the variable is unset or empty, or holds what cannot go into a header.
    """
    source = source or Source()
    secrets = {}
    for index, endpoint in enumerate(settings.endpoint):
        if endpoint.api_key_env:
            key: Key = ("endpoint", index, "api_key_env")
            whose = f"the key of endpoint {schema.quoted(endpoint.name)}"
            secret = _secret(endpoint.api_key_env, environ, whose, key, source)
            if not (secret.isascii() and secret.isprintable()):
                raise source.error(
                    key, f"{endpoint.api_key_env} ({whose}) has characters no header can carry; set it anew"
                )
            secrets[endpoint.name] = secret
    return secrets


def database_of(settings: Settings, environ: Mapping[str, str], source: Source | None = None) -> str:
    """The database to use: `sqlite`, or a PostgreSQL URL (`server.database_env` wins). Raises ConfigError."""
    source = source or Source()
    variable = settings.server.database_env
    if not variable:
        return settings.server.database
    key: Key = ("server", "database_env")
    url = _secret(variable, environ, "the database URL", key, source)
    if not is_database(url):
        raise source.error(key, f'{variable} must hold "sqlite" or a postgresql:// URL')
    return url


def is_database(url: str) -> bool:
    """Whether a text names a database we can use."""
    return url == "sqlite" or url.startswith(("postgresql://", "postgres://"))


def _secret(variable: str, environ: Mapping[str, str], whose: str, key: Key, source: Source) -> str:
    secret = environ.get(variable, "").strip()
    if not secret:
        state = "empty" if variable in environ else "not set"
        raise source.error(
            key, f"the environment variable {variable} ({whose}) is {state}; export {variable}=... first"
        )
    return secret
