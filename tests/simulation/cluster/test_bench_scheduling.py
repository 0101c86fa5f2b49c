"""The bench's own quick form runs, and says what is simulated."""

import msgspec
import pytest
from bench import scheduling, scheduling_cases


def test_the_quick_form_measures_decisions_and_requests(capsys, tmp_path):
    if not scheduling_cases.DATA.is_dir():
        pytest.skip(f"recorded steps are not here: {scheduling_cases.DATA} (set TRIMTAB_DATA)")
    path = tmp_path / "report.json"
    scheduling.main(["--quick", "--only", "cost", "--json", str(path)])
    said = capsys.readouterr().out
    assert "eta at 64 endpoints" in said
    assert "requests at 16 servers" in said
    assert msgspec.json.decode(path.read_bytes())["simulated"] is True


def test_a_claim_that_falls_short_says_so(capsys):
    measures = [msgspec.structs.replace(_measure(seed), slo=0.5) for seed in range(5)]
    better = [msgspec.structs.replace(one, slo=0.55) for one in measures]
    scheduling.claim("in SLO", 0.09, better, measures, "slo", points=True)
    assert "MISSED" in capsys.readouterr().out


def _measure(seed):
    from trimtab.simulation.cluster import Measure

    return Measure(seed, 1, 1, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0)
