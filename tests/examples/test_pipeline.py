"""The pipeline: a learned controller labels with zero tokens what it knows; what it does not goes to the model."""

import json

import pytest


async def ran(house, text):
    """A run's output, its tree, and the call of its step `classify`."""
    import play

    run = await play.begin(house, "pipeline", {"text": text})
    assert (run.state, run.error) == ("done", "")
    tree = await play.tree_of(house, run.id)
    steps = {step["name"]: step for step in tree["steps"]}
    (label,) = steps["classify"]["calls"]
    return json.loads(run.output), steps, label


def tokens(call):
    return call["usage"]["input_tokens"] + call["usage"]["output_tokens"]


async def test_the_controller_labels_with_zero_tokens_and_leaves_what_it_does_not_know(examples, capsys):
    import play
    from simulated import staged

    await play.pipeline(examples)
    told = capsys.readouterr().out
    assert "pipeline/classify@" in told
    assert "is enabled" in told
    assert told.count("labelled by the controller: 0 tokens") == 4
    assert told.count("labelled by the model: ") == 1
    async with staged(examples) as house:
        output, steps, label = await ran(house, "Good morning, is the Wren bar tape available today")
        assert (output["kind"], label["answered_by"], tokens(label)) == ("stock", "controller", 0)
        assert output["found"]["products"][0]["name"] == "Wren bar tape"
        assert steps["classify"]["nanodollars"] == 0
        assert [entry["reason"] for entry in label["entries"]] == ["decided"]
        assert set(steps) == {"classify", "extract", "summarise"}
        assert steps["extract"]["nanodollars"] > 0
        output, steps, label = await ran(house, "Good morning, do you sponsor racing teams?")
        assert (output["kind"], label["answered_by"], output["found"]) == ("other", "model", {})
        assert tokens(label) > 0
        assert steps["classify"]["nanodollars"] > 0
        (decision,) = label["controllers"]
        assert (decision["followed"], decision["controller"]) == (False, "pipeline/classify")
    assert output["summary"] == "(simulated) other: nothing was looked up"


@pytest.mark.parametrize(
    ("text", "kind"),
    [("Where is my order FW-34550?", "delivery"), ("Please call off FW-34550", "cancel")],
)
async def test_without_a_controller_the_same_graph_runs_on_the_model_alone(examples, text, kind):
    from simulated import staged

    async with staged(examples) as house:
        output, steps, label = await ran(house, text)
    assert (output["kind"], output["found"]["order_id"]) == (kind, "FW-34550")
    assert (label["answered_by"], label["controllers"]) == ("model", ())
    assert all(step["nanodollars"] > 0 for step in steps.values())


def test_learning_texts_are_the_same_every_time_and_name_their_way_of_asking(examples):
    from pipeline_texts import ASKS, BEGINS, rows

    made = list(rows())
    assert made == list(rows())
    assert len({row["text"] for row in made}) == len(made)
    assert len({row["group"] for row in made}) == sum(map(len, ASKS.values())) * len(BEGINS)
