"""A controller's model card: the manifest, told to people."""

from collections.abc import Iterator
from datetime import UTC, datetime

from trimtab.controllers.manifest import Manifest


def card_markdown(manifest: Manifest) -> str:
    """The card in Markdown: what it is, what it promises, how it was judged, what it was made of."""
    return "\n".join(_lines(manifest)) + "\n"


def _lines(manifest: Manifest) -> Iterator[str]:
    made = datetime.fromtimestamp(manifest.created, UTC).strftime("%Y-%m-%d %H:%M UTC")
    yield f"# {manifest.title}"
    yield ""
    yield f"A controller of kind `{manifest.kind}` for the workflow `{manifest.workflow}`, made {made}."
    yield ""
    yield "It picks from a closed set or abstains; what it leaves is decided by the model it stands before."
    yield from _table("Made of", _made_of(manifest))
    promised = manifest.promised_precision
    promises = {} if promised is None else {"promised precision": f"{promised:.1%}"}
    limits = {f"threshold {name}": f"{value:.4f}" for name, value in sorted(manifest.thresholds.items())}
    yield from _table("Promises", promises | limits)
    figures = {name: f"{value:g}" for name, value in sorted(manifest.metrics.items())}
    yield from _table("Validation", figures)
    yield from _report(manifest)
    yield from _table("Labels", {label: "" for label in manifest.labels})
    yield from _table("Tools it knows", manifest.tools)
    yield from _table("Files", {file.path: f"{file.bytes:,} bytes" for file in manifest.files})


def _made_of(manifest: Manifest) -> dict[str, str]:
    facts = {
        "teachers": ", ".join(manifest.teacher),
        "levels": ", ".join(manifest.levels),
        "base model": manifest.base_model,
        "licence of the base model": manifest.base_licence,
        "licence": manifest.licence,
        "digest of the data": manifest.data_digest,
        "seed": str(manifest.seed),
    } | {f"package {name}": version for name, version in sorted(manifest.packages.items())}
    return {name: value for name, value in facts.items() if value}


def _report(manifest: Manifest) -> Iterator[str]:
    report = manifest.report
    if report is None:
        yield from ("", "## Evaluation", "", "None: it can only be enabled by force.")
        return
    about = {"passed": "yes" if report.passed else "no", "on": report.held_out, "digest": report.digest}
    figures = {name: f"{value:g}" for name, value in sorted(report.metrics.items())}
    yield from _table("Evaluation on held-out runs", about | figures)
    if report.misses:
        yield from ("", "What falls short:", "", *(f"- {miss}" for miss in report.misses))


def _table(title: str, rows: dict[str, str]) -> Iterator[str]:
    if rows:
        yield from ("", f"## {title}", "", "| | |", "|---|---|")
        yield from (f"| {name} | {value} |".replace("\n", " ") for name, value in rows.items())
