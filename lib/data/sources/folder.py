"""GLUE from a folder in either of two layouts, and encoders saved in a folder.

GLUE_DIR/<task>/{train,dev}.jsonl.gz   keys sentence1, sentence2, label (Hugging Face's convention)
GLUE_DIR/<task>/{train,dev}.tsv        the official GLUE download, with its quirks
"""

import csv
import gzip
import hashlib
import json
import os
from pathlib import Path

from lib.artefacts.files import sha256
from lib.data.glue import TASKS
from lib.data.sources.pretrained import Damaged, files, load
from lib.data.sources.unavailable import Unavailable, refuse_revision

COLA = (3, None, 1)  # where its files have sentence1, sentence2 and label: they have no header line
COLUMNS = {  # the names of these columns in the other official files
    "SST-2": ("sentence", None, "label"),
    "MRPC": ("#1 String", "#2 String", "Quality"),
    "STS-B": ("sentence1", "sentence2", "score"),
    "QQP": ("question1", "question2", "is_duplicate"),
    "MNLI": ("sentence1", "sentence2", "gold_label"),
    "QNLI": ("question", "sentence", "label"),
    "RTE": ("sentence1", "sentence2", "label"),
    "WNLI": ("sentence1", "sentence2", "label"),
}


def rows(task: str, train: bool = True) -> tuple[list[dict], list[dict], str, str]:
    """Read (train rows, dev rows, origin, about) of a task from GLUE_DIR."""
    base = os.environ.get("GLUE_DIR")
    if not base:
        raise Unavailable("the environment variable GLUE_DIR is not set")
    folder = Path(base) / task
    if not folder.is_dir():
        raise Unavailable(f"there is no folder {folder}")
    splits, checksum = [], hashlib.sha256()
    dev_names = ("dev_matched", "dev") if task == "MNLI" else ("dev",)
    for names in (("train",), dev_names):
        path = _split_file(folder, names)
        checksum.update(path.read_bytes())
        read = read_jsonl if path.name.endswith(".gz") else read_tsv
        splits.append(read(path, task) if train or names == dev_names else [])
    about = "GLUE rows from a folder of yours (the one that GLUE_DIR names)"
    return *splits, f"folder {Path(base).name}/{task} sha256:{checksum.hexdigest()[:16]}", about


def _split_file(folder: Path, names: tuple[str, ...]) -> Path:
    for name in names:
        for suffix in (".jsonl.gz", ".tsv"):
            if (folder / f"{name}{suffix}").exists():
                return folder / f"{name}{suffix}"
    raise Unavailable(f"{folder} has neither {names[-1]}.jsonl.gz nor {names[-1]}.tsv")


def read_jsonl(path: Path, task: str) -> list[dict]:
    """Read the rows of a .jsonl.gz file. Raises ValueError with the number of the faulty line."""
    rows = []
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                record = json.loads(line)
                sentence1, label = record["sentence1"], record["label"]
                rows.append(_row(task, sentence1, record.get("sentence2"), label))
            except KeyError as fault:
                raise ValueError(f"{path}, line {number}: the key {fault} is missing") from None
            except ValueError as fault:
                raise ValueError(f"{path}, line {number}: {fault}") from None
    return rows


def read_tsv(path: Path, task: str) -> list[dict]:
    """Read the rows of an official GLUE file.

    Quotation marks are plain text there, MRPC starts with a byte order mark, CoLA has no header.
    Rows with too few columns are skipped: QQP's file has a few.
    """
    rows = []
    with open(path, encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        first, second, label = COLA
        if task != "CoLA":
            header, names = next(lines, []), COLUMNS[task]
            missing = [name for name in names if name and name not in header]
            if missing:
                raise ValueError(
                    f"{path} has no column {missing[0]!r}; its columns are {', '.join(header)}"
                )
            first, label = header.index(names[0]), header.index(names[2])
            second = header.index(names[1]) if names[1] else None
        for number, cells in enumerate(lines, 1 if task == "CoLA" else 2):
            if len(cells) <= max(first, label, second or 0):
                continue
            sentence2 = cells[second] if second else None
            try:
                rows.append(_row(task, cells[first], sentence2, cells[label]))
            except ValueError as fault:
                raise ValueError(f"{path}, line {number}: {fault}") from None
    return rows


def _row(task: str, sentence1: str, sentence2: str | None, label) -> dict:
    names = TASKS[task].labels
    if not names:
        value = float(label)
    elif isinstance(label, str) and label in names:
        value = names.index(label)
    else:
        value = int(label) if str(label).lstrip("-").isdigit() else -1
        if value not in range(len(names)):
            raise ValueError(
                f"the label {label!r} is not one of {task}'s labels: {', '.join(names)}, "
                f"or 0 to {len(names) - 1}"
            )
    if not TASKS[task].pair:
        return {"sentence1": sentence1, "label": value}
    if sentence2 is None:
        raise ValueError(f"{task} needs two sentences, but this row has no sentence2")
    return {"sentence1": sentence1, "sentence2": sentence2, "label": value}


def prepare_rows(task: str) -> str:
    """Read the rows of a task, and return their origin."""
    return rows(task)[2]


def prepare(name: str, revision: str | None = None) -> str:
    """The origin of an encoder that was saved with save_pretrained in the folder `name`.

    It has a checksum of the config, the weights and the tokenizer.
    """
    folder = Path(name)
    if not (folder / "config.json").exists():
        raise Unavailable(f"{name} is not a folder with a config.json")
    refuse_revision(revision)
    checksum = hashlib.sha256()
    for path in files(folder):
        checksum.update(f"{path.name} {sha256(path)}\n".encode())
    return f"folder {folder.name} sha256:{checksum.hexdigest()[:16]}"


def encoder(name: str, revision: str | None = None):
    """Load (encoder, tokenizer, origin) from the folder `name`."""
    origin = prepare(name, revision)
    way_out = "save encoder and tokenizer there again, with save_pretrained"
    try:
        return *load(Path(name), way_out), origin
    except Damaged as fault:
        raise ValueError(f"{fault}; {way_out}") from None
