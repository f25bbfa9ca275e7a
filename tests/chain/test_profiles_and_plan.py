"""Profiles, changes to them on the command line, and the plan that follows from a profile."""

import dataclasses
import os
import re

import numpy as np
import pytest
import yaml

import run_all
from chain import plan as planning
from chain import profiles, progress
from chain.changes import choose
from chain.profiles import ConfigError
from lib.artefacts.fingerprint import ROOT
from lib.tickets.subnetworks import Retraining

README = (ROOT / "README.md").read_text()
GOOD = (ROOT / "params" / "smoke.yaml").read_text()


def parse(text):
    return profiles.checked(profiles.parsed(text, "my.yaml"), "my.yaml")


@pytest.mark.parametrize("name", profiles.names())
def test_every_profile_is_valid(name, monkeypatch):
    monkeypatch.setenv("MASKS_DIR", "somewhere")
    profiles.read(name)


def test_the_paper_profile_is_the_published_protocol():
    paper = profiles.read("paper")
    assert (paper.encoder, paper.seeds, len(paper.tasks)) == (
        "bert-base-uncased",
        [1337, 42, 86, 71, 166],
        9,
    )
    assert (paper.train_rows, paper.dev_rows, paper.stsb_score) == (None, None, "pearson")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("task: [RTE]", "my.yaml: unknown key 'task'; did you mean 'tasks'?"),
        ("tasks: [SST2]", "my.yaml: tasks.0: there is no task 'SST2'; did you mean 'SST-2'?"),
        ("tasks: [cola]", "did you mean 'CoLA'?"),
        ("tasks: []", "at least 1"),
        ("seeds: [1, 2, 1]", "seeds: 1 is listed twice"),
        ("seeds: [1.5]", "seeds.0 is 1.5, but must be a valid integer"),
        ("train_rows: many", "train_rows is 'many', but must be a valid integer"),
        ("modes: [heads]", "['heads'] lacks joint, which later notebooks read; add it"),
        ("dev_rows: 1", "dev_rows is 1, but must be greater than or equal to 2"),
        ("train_rows: 0", "train_rows is 0, but must be greater than or equal to 2"),
        ("look_in: [hubb]", "look_in.0 is 'hubb', but can be 'folder', 'pip', 'hub' or 'tiny'"),
        ("stsb_score: spearman", "can be 'pearson' or 'pearson_spearman'"),
        (
            "retraining: {estimators: [token]}",
            "retraining: token in `estimators` is not searched with; add it to the profile's own",
        ),
        ("retraining: {estimators: [example]}", "example in `estimators` is the search's own"),
        ("retraining: {estimators: [batch, batch]}", "retraining: 'batch' is listed twice"),
        (
            "structured: {estimater: running}",
            "unknown key 'structured.estimater'; did you mean 'structured.estimator'?",
        ),
        (
            "structured: {estimator: runing}",
            "structured.estimator is 'runing', but can be 'example', ",
        ),
        (
            "finetuning: {learning_rat: 1.0}",
            "unknown key 'finetuning.learning_rat'; did you mean 'finetuning.learning_rate'?",
        ),
        (
            "finetuning: {precision: float16}",
            "finetuning.precision is 'float16', but can be 'float32' or 'mixed'",
        ),
        (
            "magnitude: {step: 1e-1}",
            "magnitude.step is '1e-1', but must be a valid number; YAML reads 2e-5 as text",
        ),
        ("[", "my.yaml is not valid YAML"),
        ("encoder: " + "[" * 5000 + "]" * 5000, "not valid YAML: its values are nested too deep"),
        ("encoder: " + "[" * 50_000, "not valid YAML: its values are nested too deep"),
        ("train_rows: " + "9" * 5000, "my.yaml is not valid YAML"),
        ("train_rows: 0x" + "f" * 5000, "train_rows is a int that is too long to show, but "),
        ("dev_rows: 2024-02-31", "my.yaml is not valid YAML"),
        ("tasks: [&a SST-2, *a]", "not valid YAML: write out what the alias *a stands for"),
        ("encoder: ~nouser/x", "encoder: ~nouser/x cannot be the path of a folder"),
        ("annotated_dir: ~nouser/x", "annotated_dir: ~nouser/x cannot be the path of a folder"),
        (f"masks_dir: {'x' * 5000}", "cannot be the path of a folder (File name too long)"),
        (f"encoder: {'x' * 5000}", "cannot be the path of a folder (File name too long)"),
        ("{a: 1}: 2", "my.yaml is not valid YAML"),
        ("2024-01-01: 2", "the key datetime.date(2024, 1, 1) must be a word"),
        ("magnitude: {max_rounds: 0}", "magnitude.max_rounds is 0, but must be greater than 0"),
        ("magnitude: {step: 0.0}", "magnitude.step is 0.0, but must be greater than 0"),
        ("structured: {second_step: 1.5}", "second_step is 1.5, but must be less than or equal"),
        ("structured: {keep: .nan}", "structured.keep is nan, but must be"),
        ("finetuning: {head_factor: .inf}", "finetuning.head_factor is inf, but must be a finite"),
        ("seeds: [4294967296]", "seeds.0 is 4294967296, but must be less than 4294967296"),
    ],
)
def test_a_mistake_in_a_profile_gets_a_message_that_helps(change, message):
    key = change.split(":")[0]
    text = re.sub(rf"(?m)^{re.escape(key)}:.*\n", "", GOOD) + change + "\n"
    with pytest.raises(ConfigError) as mistake:
        parse(text)
    assert message in str(mistake.value)


def test_one_mistake_is_named_once():
    """What depends on a wrong value is not reported beside it."""
    values = yaml.safe_load(GOOD) | {"estimators": ["batsh"]}
    with pytest.raises(ConfigError) as found:
        profiles.checked(values | {"retraining": {"estimators": ["batch"]}}, "my.yaml")
    assert "batsh" in str(found.value) and "not searched with" not in str(found.value)


def test_missing_keys_and_unknown_profiles_are_named():
    with pytest.raises(ConfigError, match="the key 'encoder' is missing"):
        parse(GOOD.replace("encoder: tiny", ""))
    with pytest.raises(ConfigError, match="no profile 'quik'; did you mean 'quick'"):
        profiles.read("quik")
    with pytest.raises(ConfigError, match="must be a list"):
        parse("quick")


def jobs(**changes):
    profile = profiles.checked({**dict(profiles.read("smoke")), **changes}, "a test")
    return planning.plan(run_all.CHAIN, "smoke", profile, {"encoder": "e", "SST-2": "r"})


def test_every_job_in_a_plan_comes_after_the_jobs_that_it_reads(outputs):
    plan = jobs(tasks=["SST-2", "RTE"], seeds=[1, 2])
    assert len(plan) == 4 * 4 + 6
    for position, job in enumerate(plan):
        assert all(plan.index(read) < position for read in job.reads)
        assert set(job.parameters) == set(planning.parameter_names(job.step))
    reads = [0] * 4 + [1] * 8 + [12] + [1 + 1 + 2] * 4 + [8, 12, 8, 4, 18]
    assert [len(job.reads) for job in plan] == reads
    retraining = next(job for job in plan if job.name == "05_retrain_tickets-RTE-seed_2")
    assert [read.name for read in retraining.reads] == [
        "01_finetune-RTE-seed_2",
        "02_magnitude_pruning-RTE-seed_2",
        "03_structured_pruning-RTE-seed_1",  # super-survivors are counted over all seeds
        "03_structured_pruning-RTE-seed_2",
    ]
    assert plan[4].parameters == {
        "profile": "smoke",
        "task": "SST-2",
        "seed": 1,
        "stsb_score": "pearson",
    } | {"magnitude": dataclasses.asdict(profiles.read("smoke").magnitude)}


def test_a_change_alters_the_fingerprints_of_all_jobs_that_depend_on_it(outputs):
    def fingerprints(**changes):
        return {job.name: job.place.fingerprint for job in jobs(**changes)}

    base, changed = fingerprints(), fingerprints(train_rows=10)
    assert all(base[name] != changed[name] for name in base)
    from_03 = fingerprints(modes=["joint"])
    steps = {name[:2] for name in base if base[name] != from_03[name]}
    assert steps == {"03", "04", "05", "06", "07", "08", "09", "10"}
    from_05 = fingerprints(retraining=Retraining(longer=4))
    assert {name[:2] for name in base if base[name] != from_05[name]} == {
        "05",
        "06",
        "10",
    }


def test_selecting_notebooks(outputs):
    plan = jobs()
    assert {job.step[:2] for job in planning.select(plan, run_all.CHAIN, "02-03")} == {"02", "03"}
    assert {job.step[:2] for job in planning.select(plan, run_all.CHAIN, "04")} == {"04"}
    assert {job.step[:2] for job in planning.select(plan, run_all.CHAIN, "09-10")} == {"09", "10"}
    assert planning.select(plan, run_all.CHAIN, None) == plan
    for nothing in ("04-02", "09-02", "", " ", "-", "02-", "-02"):
        with pytest.raises(ConfigError, match="selects no notebook"):
            planning.select(plan, run_all.CHAIN, nothing)
    with pytest.raises(ConfigError, match="no notebook '12'"):
        planning.select(plan, run_all.CHAIN, "12")


def test_paths_of_a_changed_profile_are_absolute(outputs, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    choose("quick", ["annotated_dir=maps"], "rel").remember()
    (tmp_path / "here" / "mine").mkdir()
    for name in ("mine", "./mine", str(tmp_path / "here" / "mine")):
        assert choose("quick", [f"encoder={name}"]).profile.encoder == str(
            tmp_path / "here" / "mine"
        )
    assert choose("quick", ["encoder=org/model"]).profile.encoder == "org/model"
    monkeypatch.chdir(tmp_path)
    assert choose("rel").profile.annotated_dir == str(tmp_path / "here" / "maps")


def test_narrowing_on_the_command_line():
    profile = profiles.read("quick")
    assert run_all.narrowed(profile, "RTE, CoLA", "7").tasks == ["RTE", "CoLA"]
    with pytest.raises(
        ConfigError, match=r"the command line: tasks.0: there is no task 'rtee'; did you mean 'RTE'"
    ):
        run_all.narrowed(profile, "rtee", None)
    with pytest.raises(ConfigError, match="--seeds 1,x: seeds are whole numbers"):
        run_all.narrowed(profile, None, "1,x")


def test_settings_change_a_profile_and_its_results_folder(outputs):
    chosen = choose("quick", ["structured.estimator=running", "train_rows=1000", "seeds=[7, 8]"])
    assert chosen.name == "quick+seeds=7,8+estimator=running+train_rows=1000"
    assert chosen.profile.structured.estimator == "running"
    assert (chosen.profile.train_rows, chosen.profile.seeds) == (1000, [7, 8])
    same = choose("quick", ["train_rows=1000", "structured={estimator: running}", "seeds=[7,8]"])
    assert same.name == chosen.name, "the order of the settings makes no difference"
    unchanged = choose("quick", ["train_rows=320", "structured.step=0.1"])
    assert unchanged.name == "quick" and not unchanged.derived, "quick has these values already"
    for setting in ("structured.step=0.2", "magnitude.step=0.2"):
        assert choose("quick", [setting]).name == f"quick+{setting}"
    assert choose("quick", ["dev_rows=null"]).name == "quick+dev_rows=null"
    folders = [choose("quick", [f"annotated_dir={path}"]).name for path in ("/a/b", "/a-b")]
    assert folders[0] != folders[1] and not any("/" in folder for folder in folders)
    assert not outputs.exists(), "choosing writes nothing"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["train_row=5"], "--set: unknown key 'train_row'; did you mean 'train_rows'?"),
        (
            ["structured.estimater=running"],
            "'structured.estimater'; did you mean 'structured.estimator'?",
        ),
        (["epochs=4"], "unknown key 'epochs'; did you mean 'finetuning.epochs'?"),
        (["step=0.2"], "did you mean 'magnitude.step' or 'structured.step'?"),
        (["tasks=RTE"], "tasks is 'RTE', but must be a list; write [RTE]"),
        (["structure.step=0.2"], "unknown key 'structure'; did you mean 'structured'?"),
        (["train_rows=many"], "--set: train_rows is 'many', but must be a valid integer"),
        (["structured.step=2e-1"], "YAML reads 2e-5 as text, write 2.0e-5"),
        (["tasks=[SST2]"], "there is no task 'SST2'; did you mean 'SST-2'?"),
        (["train_rows"], "--set train_rows: write key=value"),
        (["train_rows=1", "train_rows=2"], "--set train_rows=2: train_rows is set twice"),
        (["train_rows.x=1"], "train_rows holds a single value and has no keys of its own"),
        (["tasks=[RTE"], "'[RTE' is not a YAML value"),
        (["dev_rows=2024-13-01"], "'2024-13-01' is not a YAML value"),
        (["train_rows=1", "train_rows =2"], "train_rows is set twice"),
        (["structured.step=0.2", "structured={estimator: running}"], "structured is set twice"),
        (["structured={1: 2}"], "the key 1 must be a word"),
        (["magnitude.step=.nan"], "magnitude.step is nan, but must be less than or equal to 1"),
        (["structured.keep=2.0"], "structured.keep is 2.0, but must be less than or equal to 1"),
        (["finetuning.learning_rate=.inf"], "finetuning.learning_rate is inf, but must be less"),
        (["seeds=[18446744073709551616]"], "seeds.0 is 18446744073709551616, but must be less"),
    ],
)
def test_a_mistake_in_a_setting_gets_a_message_of_one_line(settings, message, outputs):
    with pytest.raises(ConfigError) as mistake:
        choose("quick", settings)
    assert message in str(mistake.value) and "\n" not in str(mistake.value)


def test_results_of_two_profiles_never_share_a_folder(outputs):
    with pytest.raises(ConfigError, match="outputs/paper belongs to the profile paper"):
        choose("quick", name="paper")
    with pytest.raises(ConfigError, match="outputs/quick belongs to the profile quick"):
        choose("quick", ["train_rows=1000"], "quick")
    for name in ("../elsewhere", "", "x" * 300, ".hidden", "cut.yaml"):
        with pytest.raises(ConfigError, match="cannot be the name of a folder of results"):
            choose("quick", name=name)
    (outputs / "old" / "01_finetune").mkdir(parents=True)
    with pytest.raises(ConfigError, match="does not say which profile it is of"):
        choose("quick", ["train_rows=1000"], "old")
    assert choose("quick", name="quick").derived is False
    mine = choose("quick", ["train_rows=1000"], "mine")
    mine.remember()
    assert choose("quick", ["train_rows=1000"], "mine").profile == mine.profile
    with pytest.raises(
        ConfigError, match=r"train_rows is 1000 there and 2000 here.*--as, or delete"
    ):
        choose("quick", ["train_rows=2000"], "mine")
    again = choose("mine")
    assert (again.name, again.profile) == ("mine", mine.profile), (
        "a run under another name can be repeated by that name"
    )
    assert choose("mine", ["dev_rows=64"]).name == "mine+dev_rows=64"


def test_a_profile_may_be_a_file(tmp_path, outputs):
    (tmp_path / "own.yaml").write_text(GOOD.replace("train_rows: 600", "train_rows: 300"))
    chosen = choose(str(tmp_path / "own.yaml"))
    assert (chosen.name, chosen.profile.train_rows) == ("own", 300)
    assert choose(str(ROOT / "params" / "quick.yaml")).name == "quick"
    assert not choose(str(ROOT / "params" / "quick.yaml")).derived
    (tmp_path / "link.yaml").symlink_to(ROOT / "params" / "smoke.yaml")
    assert choose(str(tmp_path / "link.yaml")).name == "smoke", "it is that profile"
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="cannot be read as UTF-8 text"):
        choose(str(tmp_path / "bytes.yaml"))
    (tmp_path / "quick.yaml").write_text(GOOD)
    with pytest.raises(ConfigError, match="outputs/quick belongs to the profile quick.*--as"):
        choose(str(tmp_path / "quick.yaml"))
    assert choose(str(tmp_path / "quick.yaml"), name="other").profile.encoder == "tiny"
    with pytest.raises(ConfigError, match=r"--profile nowhere.yaml: there is no such file"):
        choose("nowhere.yaml")
    (tmp_path / "own.yaml").write_text(GOOD.replace("encoder", "encodre"))
    with pytest.raises(
        ConfigError, match=r"own.yaml: unknown key 'encodre'; did you mean 'encoder'"
    ):
        choose(str(tmp_path / "own.yaml"))


def test_choices_code_sets_what_the_readme_says():
    """Each switch of the README's table of decisions that is marked as the authors' code."""
    switches = re.findall(r"(?m)^\| \d+ \|.*\| ([^|]*\(code[^|]*) \|$", README)
    listed: dict = {}
    for switch in switches:
        for text in re.findall(r"`([^`]*)`(?= \(code)", switch):
            text = text if ":" in text else f"structured: {{estimator: {text}}}"
            ((key, value),) = yaml.safe_load(text).items()
            inner = {**listed.get(key, {}), **value} if isinstance(value, dict) else value
            listed[key] = inner
    assert listed == profiles.CODE
    chosen = choose("quick", ["choices=code", "structured.step=0.2"])
    assert chosen.name == "quick+choices=code+structured.step=0.2"
    structured = chosen.profile.structured
    assert (structured.step, structured.masked, structured.start) == (0.2, "measured", "failed")
    assert chosen.profile.stsb_score == "pearson_spearman" and chosen.profile.magnitude.max_rounds
    assert run_all.narrowed(chosen.profile, "RTE", "7").structured == structured
    with pytest.raises(ConfigError, match="structured.start: choices: code decides it"):
        choose("quick", ["choices=code", "structured.start=accepted"])
    with pytest.raises(ConfigError, match="structured.estimator: choices: code decides it"):
        choose("quick", ["choices=code", "structured={estimator: example}"])


def test_a_file_that_is_no_profile_gets_a_message_of_one_line(tmp_path, outputs):
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "dangling.yaml").symlink_to("nowhere")
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    (tmp_path / "long.yaml").write_text("#" * 200_000)
    (tmp_path / "encoded.yaml").write_bytes(GOOD.encode("utf-16"))
    bomb = "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 40))
    (tmp_path / "bomb.yaml").write_text("a0: &a0 [1]\n" + bomb)
    for path in sorted(tmp_path.glob("*.yaml")):
        with pytest.raises(ConfigError) as mistake:
            choose(str(path))
        assert path.name in str(mistake.value) and "\n" not in str(mistake.value), path
    for name in ("~nouser/x.yaml", "a/" + "x" * 5000 + ".yaml", "a/" * 150 + "b.yaml"):
        with pytest.raises(ConfigError, match="there is no such file"):
            choose(name)
    with pytest.raises(ConfigError, match="write out what the alias"):
        choose("quick", ["tasks=[&a SST-2, *a]"])


def test_what_is_damaged_or_needed_is_to_do(outputs):
    plan = jobs(tasks=["SST-2"], seeds=[1, 2])

    def finish():
        for job in plan:
            place = dataclasses.replace(job.place, made=set())
            place.save("result.json", {"of": job.name})
            place.save("weights.safetensors", ({"w": np.ones(2)}, {}))
            place.finish()

    def to_do(**options):
        return set(progress.to_do(plan, **options))

    assert to_do() == {job.name for job in plan}
    finish()
    assert to_do() == set()
    by_name = {job.name: job for job in plan}
    first, second = (by_name[f"01_finetune-SST-2-seed_{seed}"] for seed in (1, 2))
    pruned, summary = by_name["03_structured_pruning-SST-2-seed_1"], by_name["09_task_overlap"]

    for job in plan:
        job.place.path("weights.safetensors").unlink()
    assert to_do() == set(), "weights that nobody has to read need not be there"
    summary.place.path("result.json").unlink()
    assert to_do() == {summary.name}, "a summary reads what was kept"
    pruned.place.path("result.json").write_text("{}")
    assert to_do() == {summary.name, pruned.name, first.name}, "it restores the model of 01"
    assert progress.set_aside(pruned) == [pruned.place.folder / "damaged" / "result.json"]
    assert progress.lack(second, by=pruned) == "whose weights.safetensors is not kept"
    assert progress.lack(second) is None and progress.lack(second, by=summary) is None
    finish()
    path = first.place.path("result.json")
    time = path.stat().st_mtime_ns
    path.write_text(path.read_text().replace("seed_1", "seed_7"))
    os.utime(path, ns=(time, time))
    assert to_do() == set() and to_do(verify=True) == {first.name}
