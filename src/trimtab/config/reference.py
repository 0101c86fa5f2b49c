"""The configuration reference, made from the settings' own types so that it cannot fall behind them.

`python -m trimtab.config.reference` writes docs/configuration.md; a test fails while it is out of date.
"""

import inspect as docstrings
import sys
from importlib.resources import files
from pathlib import Path

import msgspec
from msgspec import NODEFAULT, inspect

from trimtab.config import schema

_HEAD = "| key | value | default | what it is |\n|---|---|---|---|\n"


def reference_markdown() -> str:
    """The whole page: the preamble, then one section for each table of trimtab.toml."""
    preamble = files("trimtab.config").joinpath("preamble.md").read_text(encoding="utf-8")
    root = schema.root_type()
    scalars = [field for field in root.fields if _table_of(field.type) is None]
    top = "### Top of the file\n\n" + _HEAD + "".join(map(_row, scalars))
    return "\n".join([preamble, top, *map(_section, _tables(root))]).rstrip("\n") + "\n"


def _tables(root: inspect.StructType) -> list[inspect.StructType]:
    """Every table in the order of the file, inner ones behind the first that holds them."""
    tables: list[inspect.StructType] = []
    for field in root.fields:
        table = _table_of(field.type)
        if table is not None and table not in tables:
            tables.append(table)
            tables.extend(inner for inner in _tables(table) if inner not in tables)
    return tables


def _table_of(kind: inspect.Type) -> inspect.StructType | None:
    bare = schema.plain(kind)
    if isinstance(bare, inspect.VarTupleType):
        return _table_of(bare.item_type)
    if isinstance(bare, inspect.DictType):
        return _table_of(bare.value_type)
    return bare if isinstance(bare, inspect.StructType) else None


def _section(table: inspect.StructType) -> str:
    name, about = _name_and_text(table)
    about = about[:1].upper() + about[1:]
    return f"### {name}\n\n{about}\n\n{_HEAD}{''.join(map(_row, table.fields))}"


def _name_and_text(table: inspect.StructType) -> tuple[str, str]:
    """A settings class's docstring is "`[server]`: where it listens."; further lines belong to the text."""
    name, _, about = (docstrings.getdoc(table.cls) or "").partition(": ")
    return name, about


def _row(field: inspect.Field) -> str:
    about = schema.description(field.type)
    cells = (f"`{field.encode_name}`", _value(field.type), _default(field), about)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _value(kind: inspect.Type) -> str:
    bare = schema.plain(kind)
    table = _table_of(bare)
    if isinstance(bare, inspect.DictType):
        keys = schema.choices(bare.key_type)
        return "table: " + (f"{_codes(keys)} = " if keys else "name = ") + _value(bare.value_type)
    if isinstance(bare, inspect.VarTupleType):
        least = f", {schema.bounds(bare)}" if schema.bounds(bare) else ""
        return f"list of {_value(bare.item_type)}{least}"
    if table is not None:
        return f"table, see {_name_and_text(table)[0]}"
    return _codes(schema.choices(bare)) or schema.in_words(bare)


def _codes(values: list[str]) -> str:
    return ", ".join(f"`{value}`" for value in values)


def _default(field: inspect.Field) -> str:
    if field.required:
        return "**required**"
    if field.default_factory is not NODEFAULT or isinstance(field.default, msgspec.Struct):
        return ""
    if field.default is None or field.default in ((), ""):
        return ""
    if isinstance(field.default, tuple):
        return f"`[{', '.join(map(schema.quoted, field.default))}]`"
    if isinstance(field.default, str | bool):
        return f"`{schema.quoted(field.default)}`"
    return f"`{schema.number(field.default)}`"


def main(arguments: list[str]) -> None:
    """Write the page to the path given, docs/configuration.md by default."""
    path = Path(arguments[0] if arguments else "docs/configuration.md")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(reference_markdown(), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
