"""Placements, small enough to check by hand."""

from collections import Counter

import pytest

from simulation.placement.conftest import gpu, model
from trimtab.simulation.placement import Placement, Shortage, plan
from trimtab.simulation.placement.gpus import CUTS
from trimtab.simulation.placement.greedy import first_fit
from trimtab.simulation.placement.options import choices_of
from trimtab.simulation.placement.seats import seat
from trimtab.simulation.placement.solve import cheapest

pytest.importorskip("ortools", reason="the extra `place` is not installed")
LARGE = "tensor_parallel = [1, 2, 4]\nmax_context_tokens = 8192\n"
MIX = (
    model("large", 70, 2.0, LARGE + 'precisions = ["fp16", "fp8"]\n')
    + model("small", 8, 9.0)
    + model("tiny", 1, 3.0)
)
GPUS = gpu("a100-80", 8, 1.5) + gpu("h100-80", 8, 2.5)


def test_two_small_models_share_one_gpu(order):
    found = plan(order(model("a", 8, 0.5) + model("b", 8, 0.5), gpu()), 10)
    assert isinstance(found, Placement)
    assert (found.status, found.usd_per_hour, found.gpus) == ("optimal", 2.5, {"h100-80": 1})
    assert found.whole_gpus.usd_per_hour == 5.0
    assert any("-cgi" in line for line in found.mig)
    assert sum(line.startswith("CUDA_VISIBLE_DEVICES='MIG-") for line in found.vllm) == 2


def test_a_large_model_gets_a_tensor_parallel_group(order):
    found = plan(order(model("large", 70, 1.0, LARGE), gpu()), 10)
    assert isinstance(found, Placement)
    assert [line.replicas * line.requests_per_second >= 1.0 for line in found.lines] == [True]
    assert "--tensor-parallel-size" in found.vllm[1]
    assert found.mig == ()


def test_a_group_never_leaves_its_machine(order):
    apart = gpu(count=4, more="node_size = 1\n")
    found = plan(order(model("large", 70, 1.0, "tensor_parallel = [2]\n"), apart), 10)
    assert isinstance(found, Shortage)


def test_demand_is_served_and_replicas_have_places_of_their_own(order):
    asked = order(MIX, GPUS)
    choices = [choices_of(asked, index) for index in range(3)]
    solved = cheapest(asked, choices, 10, 0, first_fit(asked, choices, cut=True))
    served = Counter()
    for option, count in solved.replicas:
        served[option.model] += option.milli_rate * count
    assert all(served[index] >= 1000 * asked.models.model[index].requests_per_second for index in range(3))
    seats = seat(asked, solved).seats
    assert len(seats) == sum(count for _, count in solved.replicas)
    taken = []
    for each in seats:
        slices = range(8)
        if each.instance is not None:
            slices = range(each.instance.start, each.instance.start + CUTS[each.instance.cut].memory)
        taken += [(each.option.pool, each.node, gpu, at) for gpu in each.gpus for at in slices]
    assert len(set(taken)) == len(taken)


def test_it_is_never_dearer_than_first_fit_and_always_the_same(order):
    asked = order(MIX, GPUS)
    one, two = plan(asked, 10, 3), plan(asked, 10, 3)
    assert one.usd_per_hour <= one.first_fit.usd_per_hour <= one.whole_gpus.usd_per_hour
    assert (one.lines, one.mig, one.vllm) == (two.lines, two.mig, two.vllm)
    assert one.bound_usd_per_hour <= one.usd_per_hour


def test_the_quality_floor_holds(order):
    found = plan(order(model("m", 8, 30.0, 'precisions = ["fp16"]\n'), GPUS), 10)
    assert {line.precision for line in found.lines} == {"fp16"}
    mixed = plan(order(model("m", 8, 30.0, 'precisions = ["fp16", "fp8"]\n'), GPUS), 10)
    assert mixed.usd_per_hour < found.usd_per_hour


def test_adapters_stand_where_their_requests_can_go(order):
    adapters = "".join(
        f'[[model.adapter]]\nname = "{name}"\ngib = 6.0\nrank = {rank}\nrequests_per_second = 1.0\n'
        for name, rank in (("billing", 8), ("legal", 32))
    )
    found = plan(order(model("m", 8, 1.0, adapters), gpu()), 10)
    assert {name for line in found.lines for name in line.adapters} == {"billing", "legal"}
    assert any("--lora-modules" in line and "--max-lora-rank 32" in line for line in found.vllm)


def lacks(found):
    assert isinstance(found, Shortage)
    return {(lack.subject, lack.key): lack for lack in found.lacks}


def test_too_few_gpus_are_named_with_the_number_that_is_enough(order):
    models = model("large", 70, 4.0, LARGE + 'precisions = ["fp8"]\n')
    told = lacks(plan(order(models, gpu(count=1)), 20))
    count = int(told["h100-80", "gpu[0].count"].remedy.split()[-1])
    assert isinstance(plan(order(models, gpu(count=count)), 20), Placement)
    assert isinstance(plan(order(models, gpu(count=count - 1)), 20), Shortage)
    assert "at most" in told["large", "model[0].requests_per_second"].remedy


def test_only_the_limits_in_the_way_are_named(order):
    models = model("huge", 8, 500.0) + model("m", 8, 0.5)
    told = lacks(plan(order(models, gpu("a100-80", 2, 1.5)), 20))
    assert set(told) == {("a100-80", "gpu[0].count"), ("huge", "model[0].requests_per_second")}
    assert told["a100-80", "gpu[0].count"].file.endswith("gpus.toml")


def test_a_budget_in_the_way_is_named(order):
    told = lacks(plan(order(model("a", 8, 0.5), "max_usd_per_hour = 2.0\n" + gpu()), 20))
    assert told["the budget", "max_usd_per_hour"].remedy == "raise it to 2.50"


@pytest.mark.parametrize(
    ("more", "key"),
    [
        ("", "model[0].tensor_parallel"),
        ("tensor_parallel = [4]\nttft_seconds = 0.01\n", "model[0].ttft_seconds"),
        ("tensor_parallel = [4]\ntpot_milliseconds = 1\n", "model[0].tpot_milliseconds"),
        ('precisions = ["fp8"]\n', "model[0].precisions"),
    ],
)
def test_a_model_that_fits_nowhere_is_told_which_key_keeps_it_out(order, more, key):
    told = lacks(plan(order(model("large", 70, 1.0, more), gpu("a100-80", 8, 1.5)), 10))
    assert ("large", key) in told
