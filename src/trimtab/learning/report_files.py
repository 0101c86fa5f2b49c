"""Writes a report beside its drawing: report.md, report.json, frontier.svg."""

from pathlib import Path

import msgspec

from trimtab.core.errors import DataError
from trimtab.evaluation import Report, drawing, markdown


def write_report(report: Report, folder: Path) -> tuple[Path, ...]:
    """The files written, in a folder that is made if need be. Raises DataError where it cannot be."""
    contents = {
        "report.md": markdown(report),
        "report.json": report_json(report),
        "frontier.svg": drawing(report),
    }
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in contents.items():
            if text is not None:
                (folder / name).write_text(text, encoding="utf-8")
                written.append(folder / name)
    except OSError as error:
        raise DataError(
            f"cannot be written: {error.strerror}", file=str(folder), remedy="check the path given with --out"
        ) from error
    return tuple(written)


def report_json(report: Report) -> str:
    """The report as JSON; shares are 0..1, money in USD."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2).decode() + "\n"
