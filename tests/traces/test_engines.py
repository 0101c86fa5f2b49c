"""What /metrics shows of engines: what they said, unless it is too old to be believed."""

from trimtab.traces import EngineFigures, Gauges, Metrics

FRESH = EngineFigures(
    "a",
    True,
    0.5,
    running=3,
    waiting=1,
    kv_used=0.25,
    adapters=frozenset({"sum", "sql"}),
    models=frozenset({"m"}),
)
STALE = EngineFigures("b", False, 9.0)


def page(*figures, **loads):
    return Metrics(Gauges(engines=lambda: figures, engine_loads=lambda: loads)).render().decode().splitlines()


def test_every_figure_an_engine_gave_is_a_gauge():
    shown = page(FRESH, STALE, gpu0=4)
    assert 'trimtab_engine_up{endpoint="a"} 1.0' in shown
    assert 'trimtab_engine_running{endpoint="a"} 3.0' in shown
    assert 'trimtab_engine_waiting{endpoint="a"} 1.0' in shown
    assert 'trimtab_engine_kv_used{endpoint="a"} 0.25' in shown
    assert 'trimtab_engine_adapter{adapter="sql",endpoint="a"} 1.0' in shown
    assert 'trimtab_engine_model{endpoint="a",model="m"} 1.0' in shown
    assert 'trimtab_engine_loads_total{at="gpu0"} 4.0' in shown


def test_of_a_silent_engine_only_its_age_shows():
    assert [line for line in page(STALE) if line.startswith("trimtab_engine")] == [
        'trimtab_engine_up{endpoint="b"} 0.0',
        'trimtab_engine_age_seconds{endpoint="b"} 9.0',
    ]


def test_without_engines_nothing_is_added():
    assert not [line for line in page() if "trimtab_engine" in line]
