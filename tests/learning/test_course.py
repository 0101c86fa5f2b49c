"""The whole course: one command's worth of stages, resumed after an interruption, packed once."""

import json

import pytest
from tests.engines.tiny import hugging_face_folder
from tests.learning.taught import asked, rows_file, run_line, texts, write_lines

from trimtab.controllers import Package, Registry
from trimtab.controllers.text import TextController
from trimtab.core.errors import DataError
from trimtab.learning import STAGES, Course, CourseTerms, Picking, Source, TextTerms

LINEAR = TextTerms(mode="linear", promise=0.9)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return str(hugging_face_folder(tmp_path_factory.mktemp("weights")))


@pytest.fixture
def begin(tmp_path):
    """`course = begin(text)` over a file of rows, or `begin(text, source=...)`."""
    registry = Registry(tmp_path / "controllers")

    def course(text=LINEAR, kind="classify", source=None, now=1_800_000_000.0, **more):
        terms = CourseTerms(Picking(kind, "triage"), text, **more)
        source = source or Source("rows.jsonl", rows_file(tmp_path))
        return Course(terms, source, tmp_path / "bench", registry, now)

    course.registry = registry
    return course


def stages_run(course, **more):
    told = []
    learned = course.run(progress=lambda stage, what, _: told.append((stage, what)), **more)
    return learned, told


def test_rows_become_a_packaged_controller_with_its_cards(begin):
    learned = begin().run()
    package = begin.registry.open("triage", "classify", learned.package.manifest.version)
    manifest = package.manifest
    assert manifest.report.passed
    assert manifest.labels == ("card", "flight", "song")
    assert (manifest.promised_precision, manifest.data_digest) == (0.9, learned.card.digest)
    assert manifest.profile.calls == learned.card.parts["judge"].texts
    metrics = manifest.report.metrics
    assert metrics["accuracy of linear"] > metrics["floor: one label always"]
    assert {"floor: TF-IDF", "precision", "answered"} <= metrics.keys()
    for name in (
        "data_card.md",
        "data_card.json",
        "evaluation.md",
        "evaluation.json",
        "card.md",
        "card.json",
    ):
        assert (package.folder / name).is_file()
    answer = TextController.load(package.folder).decide("the lost card please")
    assert (answer.option, answer.controller, answer.version) == ("card", "triage/classify", manifest.version)


def test_the_same_course_again_packs_nothing_and_other_data_does(begin, tmp_path):
    first = begin().run()
    again, told = stages_run(begin(now=1_800_000_099.0))
    assert again.package.manifest.version == first.package.manifest.version
    assert (first.is_new, again.is_new) == (True, False)
    rows = [{"text": f"{text} thanks", "label": label, "group": task} for text, label, task in texts()]
    other = begin(source=Source("more.jsonl", write_lines(tmp_path / "more.jsonl", rows))).run()
    assert other.is_new
    assert len([each for each in begin.registry.list() if isinstance(each, Package)]) == 2


def test_each_stage_can_be_asked_for_alone(begin):
    for stage in STAGES[:-1]:
        learned = begin().run(stage)
        assert learned.package is None
        assert learned.folder.name == stage
    assert not list(begin.registry.list())
    assert (begin().run("curate").folder / "data_card.md").read_text().startswith("# Data card")


def test_an_interrupted_course_goes_on_where_it_was(begin, weights):
    text = TextTerms(promise=0.8, allowance=1.0, encoder=weights, epochs=3, learning_rate=2e-3, max_tokens=24)

    def interrupt(at):
        def progress(stage, what, share):
            if (stage, what) == at:
                raise KeyboardInterrupt

        return progress

    with pytest.raises(KeyboardInterrupt):
        begin(text).run(progress=interrupt(("adapt", "epoch 3")))
    with pytest.raises(KeyboardInterrupt):
        begin(text).run(progress=interrupt(("compress", "int8")))
    learned, told = stages_run(begin(text))
    assert ("adapt", "epoch 1") not in told
    assert ("compress", "fp16") not in told
    assert ("compress", "int8") in told
    manifest = learned.package.manifest
    assert manifest.levels[:2] == ("linear", "int8")
    metrics = manifest.report.metrics
    assert {"accuracy of fp32 alone", "int8 says as fp32", "int8: megabytes"} <= metrics.keys()
    controller = TextController.load(learned.package.folder)
    assert controller.decide("the card please").option == "card"


def test_a_shared_encoder_serves_from_where_it_stands(begin, weights):
    text = TextTerms(mode="lora", promise=0.8, encoder=weights, epochs=1, max_tokens=24, rank=4)
    learned = begin(text).run()
    controller = TextController.load(learned.package.folder)
    level = controller.described.levels[1]
    assert ".encoders" in level.encoder
    assert level.adapter == "adapter.npz"
    assert not list(learned.package.folder.rglob("encoder.bin"))
    assert controller.logits(["the card"], level.name, "classify").shape == (1, 3)
    assert any(each.path.endswith("/encoder.bin") for each in learned.package.manifest.shared)


def test_what_cannot_be_promised_is_packed_and_said(begin):
    learned = begin(TextTerms(mode="linear", promise=0.9999)).run()
    assert not learned.report.passed
    assert "no level may answer" in learned.report.misses[0]
    assert TextController.load(learned.package.folder).decide("the card please").abstained


def test_an_unfinished_course_keeps_the_runs_it_began_with(begin):
    taken = []

    def lines():
        taken.append(1)
        return iter(
            json.dumps(run_line(task, "big", asked(f"{text} {len(taken)}", label))).encode() + b"\n"
            for text, label, task in texts()
        )

    traces = Source("traces", lines=lines)
    begun = begin(source=traces).run("curate")
    assert begin(source=traces).run().card == begun.card
    assert len(taken) == 1
    assert begin(source=traces).run().card != begun.card, (
        "a course that was finished looks at what came since"
    )


def traced(tenants=("",), words="please"):
    """Traces of one task after the other, each by the next tenant."""

    def lines():
        for number, (text, label, task) in enumerate(texts()):
            line = run_line(task, "big", asked(f"{text} {words}", label))
            yield json.dumps(line | {"tenant": tenants[number % len(tenants)]}).encode() + b"\n"

    return Source("traces", lines=lines)


def test_when_a_course_has_ended_no_words_of_runs_stay_unless_asked_for(begin, tmp_path):
    secret = traced(words="zanzibar")
    begun = begin(source=secret).run("calibrate")
    held = [path for path in (tmp_path / "bench").rglob("*") if path.is_file()]
    assert {"runs.jsonl.gz", "curated.json", "distilled.json"} <= {path.name for path in held}
    first = begin(source=secret).run()
    left = [path for path in (tmp_path / "bench").rglob("*.json*") if path.is_file()]
    assert {"data_card.json", "taught.json"} <= {path.name for path in left}
    assert not any(b"zanzibar" in path.read_bytes() for path in left)
    again, told = stages_run(begin(source=secret))
    assert (again.card, again.is_new) == (begun.card, False)
    assert again.package.manifest.version == first.package.manifest.version
    begin(source=secret, keep_data=True).run()
    assert (tmp_path / "bench" / "snapshot" / "runs.jsonl.gz").is_file()


def test_runs_of_several_tenants_are_refused_and_leave_nothing_unless_all_are_wanted(begin, tmp_path):
    both = traced(("acme", "beta"))
    with pytest.raises(
        DataError, match=r"traces: tenant: runs of several tenants: 'acme', 'beta' \(name one"
    ):
        begin(source=both).run()
    assert not [path for path in (tmp_path / "bench").rglob("runs*")]
    file = tmp_path / "runs.jsonl"
    file.write_bytes(b"".join(both.lines()))
    with pytest.raises(DataError, match="several tenants"):
        begin(source=Source("runs.jsonl", file)).run("curate")
    assert begin(source=both, all_tenants=True).run().package is not None


def test_no_runs_in_the_traces_is_said(begin):
    with pytest.raises(DataError, match="traces: workflow: no runs of workflow 'triage'"):
        begin(source=Source("traces", lines=lambda: iter(()))).run()


def test_two_courses_of_one_controller_do_not_run_at_once(begin):
    def meddle(stage, *_):
        if stage == "distil":
            begin().run()

    with pytest.raises(DataError, match="another process is learning"):
        begin().run(progress=meddle)


def test_a_step_is_learned_from_recorded_runs_only(begin):
    with pytest.raises(DataError, match=r"rows\.jsonl"):
        begin(kind="step").run()
