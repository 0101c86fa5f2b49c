from trimtab.controllers import Ingredient, Recipe, Scene, Turn, cues_of, find_candidates

CITIES = ("Oslo", "Paris", "Rome")
FLY = Recipe("fly", (Ingredient("start", options=CITIES), Ingredient("end", options=CITIES)))
STAY = Recipe("stay", (Ingredient("pets_allowed", constant="true"), Ingredient("city", options=CITIES)))


def told(recipe, *texts):
    """The tokens of each candidate, by the cities it takes."""
    scene = Scene.of([Turn("user", text) for text in texts], frozenset())
    found = find_candidates([recipe], scene.pantry, {recipe.tool: True})
    return {tuple(value.text for value in one.values): cues_of(one, scene) for one in found}


def test_the_words_around_a_value_are_told_apart_by_its_argument():
    tokens = told(FLY, "from Paris to Rome")
    assert {"0-1:from", "1-1:to"} <= tokens["Paris", "Rome"]
    assert {"0-1:to", "1-1:from"} <= tokens["Rome", "Paris"]


def test_what_was_said_with_a_spoken_value_and_what_was_asked_of_an_argument_are_cues():
    (tokens,) = told(STAY, "a room in Rome where pets may sleep").values()
    assert {"said:sleep", "last:pet", "reply:none"} <= tokens
    (tokens,) = told(STAY, "a room in Rome").values()
    assert "last:pet" not in tokens


def test_a_number_that_a_candidate_leaves_out_is_a_cue():
    (tokens,) = told(STAY, "two rooms in Rome").values()
    assert "left:user:=number:1" in tokens
    (tokens,) = told(STAY, "two rooms", "in Rome").values()
    assert not any(token.startswith("left:") for token in tokens)
