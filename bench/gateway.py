"""The gateway benchmark: Trimtab beside other gateways, one core each, the same load, in one run.

`python -m bench.gateway [--rounds N] [--seconds S] [--only trimtab,litellm] [--quick] [--json] [--profile]`.
Prints a table and writes `bench/results/gateway.json`; `bench/README.md` says how to read them.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.load import LoadFailed
from bench.measure import NotMeasured, Plan, Round, measure
from bench.peers import ROOT, Kit, Missing, prepare
from bench.processes import Fleet
from bench.profiling import profile
from bench.report import Results, table
from bench.targets import TARGETS
from bench.upstream import start_upstreams

RESULTS = ROOT / "bench" / "results"


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line; `only` becomes a list of known target names."""
    parser = argparse.ArgumentParser(
        prog="bench.gateway", description="Trimtab beside other gateways, in one run"
    )
    parser.add_argument("--rounds", type=int, help="rounds over all targets (3; quick: 1)")
    parser.add_argument("--seconds", type=float, help="seconds of closed loop; open loops: twice that (5)")
    parser.add_argument("--only", default=",".join(TARGETS), help="targets by name; direct is always in")
    parser.add_argument("--rate", type=float, default=100.0, help="open loop, calls a second")
    parser.add_argument("--quick", action="store_true", help="one short round, no figures to quote")
    parser.add_argument("--json", action="store_true", help="print the JSON report in place of the table")
    parser.add_argument("--profile", action="store_true", help="where Trimtab spends its time, by py-spy")
    parser.add_argument("--prepare", action="store_true", help="install what is needed, then stop")
    options = parser.parse_args(arguments)
    options.only = [name.strip() for name in options.only.split(",") if name.strip()]
    if unknown := [name for name in options.only if name not in TARGETS]:
        parser.error(f"unknown targets: {', '.join(unknown)}; known: {', '.join(TARGETS)}")
    options.rounds = options.rounds or (1 if options.quick else 3)
    options.seconds = options.seconds or (2.0 if options.quick else 5.0)
    return options


def plan_of(options: argparse.Namespace) -> Plan:
    """Core 0 for the gateway, core 1 for everything else."""
    return Plan(
        closed_seconds=options.seconds,
        warm_window_seconds=2.0,
        warm_limit_seconds=4.0 if options.quick else 14.0,
        open_seconds=options.seconds * 2,
        rate=options.rate,
        low_rate=options.rate / 5,
        gateway_core=0,
        load_core=1,
    )


def main(arguments: Sequence[str]) -> int:
    """Prepare, measure, report. The exit status is 2 when the load tools or a second core are missing."""
    options = parse(arguments)
    plan = plan_of(options)
    if not {plan.gateway_core, plan.load_core} <= os.sched_getaffinity(0):
        print("this benchmark needs cores 0 and 1", file=sys.stderr)
        return 2
    names = [name for name in TARGETS if name in options.only or name == "direct"]
    try:
        kit = prepare(["trimtab"] if options.profile else names)
    except Missing as error:
        print(error, file=sys.stderr)
        return 2
    if options.prepare:
        print("\n".join(f"{name} {version}" for name, version in kit.versions.items()))
        print("\n".join(f"{name}: not there: {why}" for name, why in kit.missing.items()))
        return 0
    os.sched_setaffinity(0, {plan.load_core})
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    RESULTS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="trimtab-bench-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        with Fleet(Path(folder)) as fleet:
            try:
                if options.profile:
                    return profiled(fleet, kit, plan)
                return compare(fleet, kit, plan, names, options)
            except KeyboardInterrupt:
                print("interrupted; ending what was started", file=sys.stderr)
                return 130


def interrupt(number: int, frame: object) -> None:
    """Ctrl-C, also where a shell had it ignored for a background job, and SIGTERM end the run in order.

    The clean-up that follows is bounded and is not interrupted again.
    """
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


def compare(fleet: Fleet, kit: Kit, plan: Plan, names: Sequence[str], options: argparse.Namespace) -> int:
    """All rounds, A B C A B C; a target that fails is named and left out from then on."""
    upstreams = start_upstreams(fleet, kit.python, plan.load_core)
    missing = dict(kit.missing)
    rounds: dict[str, list[Round]] = {name: [] for name in names if name not in missing}
    for number in range(options.rounds):
        for name in list(rounds):
            if name in missing:
                continue
            print(f"round {number + 1}/{options.rounds}: {name}", file=sys.stderr, flush=True)
            try:
                rounds[name].append(measure(name, number, fleet, upstreams, kit.python, plan))
            except (NotMeasured, LoadFailed, Missing) as error:
                missing[name] = str(error)
    results = Results(kit.versions, missing, plan, rounds)
    document = results.document()
    (RESULTS / "gateway.json").write_text(document)
    print(document if options.json else table(results), end="")
    return 0 if rounds["direct"] else 1


def profiled(fleet: Fleet, kit: Kit, plan: Plan) -> int:
    """py-spy over Trimtab under the closed loop; the folded stacks land beside the results."""
    if why := kit.missing.get("trimtab"):
        print(f"trimtab: {why}", file=sys.stderr)
        return 1
    upstreams = start_upstreams(fleet, kit.python, plan.load_core)
    try:
        print(profile(fleet, upstreams, kit.py_spy, plan, RESULTS / "gateway.folded"), end="")
    except (NotMeasured, LoadFailed, Missing) as error:
        print(f"not profiled: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
