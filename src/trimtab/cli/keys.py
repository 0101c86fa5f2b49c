"""`trimtab keys create|list|limit|revoke`."""

from typing import TYPE_CHECKING, Annotated, get_args

import typer

from trimtab.cli.options import Config, Json

if TYPE_CHECKING:
    from trimtab.budgets import KeyLimit

_ID_LETTERS = 26

app = typer.Typer(help="API keys: who may come in, as whom.", no_args_is_help=True)


@app.command()
def create(
    tenant: Annotated[str, typer.Option(help="Whose key.")],
    user: Annotated[str, typer.Option(help="Fixes the user; empty lets the client name one.")] = "",
    role: Annotated[str, typer.Option(help="viewer, operator or admin.")] = "operator",
    models: Annotated[str, typer.Option(help="Models it may name, by commas; empty: all.")] = "",
    expires: Annotated[str, typer.Option(help="When it ends: 30d, 12h, or 2027-01-31.")] = "",
    note: Annotated[str, typer.Option(help="For people.")] = "",
    limit_usd: Annotated[
        str, typer.Option(help="What its calls may cost in each window, in USD; empty: no limit.")
    ] = "",
    window: Annotated[str, typer.Option(help="The limit's: day, month (UTC) or total.")] = "month",
    config: Config = None,
    json: Json = False,
) -> None:
    """Make a key and print it, once."""
    import msgspec

    from trimtab.app import open_database
    from trimtab.core import Role, SystemClock, in_future
    from trimtab.core.errors import ConfigError
    from trimtab.tenants import create_key

    if role not in get_args(Role):
        raise ConfigError(f"expected viewer, operator or admin, not {role!r}", key="--role")
    if not tenant.strip():
        raise ConfigError("a key needs a tenant", key="--tenant")
    clock = SystemClock()
    ends = in_future(expires, clock.now()) if expires else None
    allowed = tuple(name.strip() for name in models.split(",") if name.strip())
    limit = _limit(limit_usd or "0", window, "--limit-usd")
    with open_database(config) as (_, database):
        secret, row = create_key(
            database,
            clock,
            tenant,
            user,
            role,  # type: ignore[arg-type]
            allowed,
            ends,
            note,
            limit=limit if limit_usd else None,
        )
    if json:
        shown = {"key": secret, "id": row.id, "expires_at": ends}
        shown |= {"tenant": tenant, "user": user, "role": role}
        typer.echo(msgspec.json.encode(shown).decode())
        return
    typer.echo(secret)
    typer.echo(f"id {row.id}; it is shown this once and stored hashed", err=True)


@app.command("list")
def list_keys(
    tenant: Annotated[str | None, typer.Option(help="Only of this tenant.")] = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """List keys (never the keys themselves)."""
    import msgspec

    from trimtab.app import open_database
    from trimtab.store import keys

    with open_database(config) as (_, database):
        rows = database.transact(lambda connection: keys.everyone(connection, tenant))
    if json:
        listed = [{k: v for k, v in msgspec.to_builtins(row).items() if k != "digest"} for row in rows]
        typer.echo(msgspec.json.encode(listed).decode())
        return
    from rich.console import Console
    from rich.table import Table

    from trimtab.core import shown_time

    table = Table()
    # By it keys are limited and revoked, so it is shown whole on narrow terminals too.
    table.add_column("id", no_wrap=True, min_width=_ID_LETTERS)
    for name in ("key", "tenant", "user", "role", "models", "limit", "created", "expires", "state", "note"):
        table.add_column(name)
    for row in rows:
        state = "revoked" if row.revoked_at is not None else "good"
        table.add_row(
            row.id, row.hint + "…", row.tenant, row.user, row.role, ", ".join(row.models) or "all",
            str(row.limit or "none"), shown_time(row.created_at), shown_time(row.expires_at), state, row.note,
        )  # fmt: skip
    Console().print(table)


@app.command("limit")
def limit_key(
    id: Annotated[str, typer.Argument(help="Id of the key (see list).")],
    usd: Annotated[
        str,
        typer.Argument(help="What its calls may cost in each window, in USD; `none` takes the limit away."),
    ],
    window: Annotated[
        str, typer.Option(help="day, month (UTC) or total; left out: as it is, month where it has no limit.")
    ] = "",
    config: Config = None,
) -> None:
    """Limit what the calls of a key may cost; running gateways notice within two seconds. What was charged to it in the
    window before counts."""
    from trimtab.app import open_database
    from trimtab.core import SystemClock
    from trimtab.core.errors import ConfigError
    from trimtab.store import keys
    from trimtab.tenants import limit_key

    with open_database(config) as (_, database):
        row = database.transact(lambda connection: keys.by_id(connection, id))
        present = row.limit.window if row is not None and row.limit is not None else "month"
        limit = None if usd == "none" else _limit(usd, window or present, "USD")
        if not limit_key(database, SystemClock(), id, limit):
            raise ConfigError(f"there is no good key with id {id!r}; see `trimtab keys list`")
    typer.echo(f"limited {id} to {limit}" if limit is not None else f"{id} has no limit any more")


@app.command()
def revoke(
    id: Annotated[str, typer.Argument(help="Id of the key (see list).")], config: Config = None
) -> None:
    """Revoke a key; running gateways notice within two seconds."""
    from trimtab.app import open_database
    from trimtab.core import SystemClock
    from trimtab.core.errors import ConfigError
    from trimtab.store import keys

    with open_database(config) as (_, database):
        done = database.transact(lambda connection: keys.revoke(connection, id, SystemClock.now()))
    if not done:
        raise ConfigError(f"there is no good key with id {id!r}; see `trimtab keys list`")
    typer.echo(f"revoked {id}")


def _limit(usd: str, window: str, amount: str) -> "KeyLimit":
    """`amount` names the option or argument that is read. Raises ConfigError."""
    from trimtab.budgets import key_limit
    from trimtab.core.errors import ConfigError

    try:
        return key_limit(usd, window)
    except ConfigError as error:
        raise ConfigError(error.message, key=amount if error.key == "usd" else "--window") from error
