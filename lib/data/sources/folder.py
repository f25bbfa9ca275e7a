"""GLUE from a folder in either of two layouts, and encoders saved in a folder.

GLUE_DIR/<task>/{train,dev}.jsonl.gz   keys sentence1, sentence2, label (Hugging Face's convention)
GLUE_DIR/<task>/{train,dev}.tsv        the official GLUE download, with its quirks
"""

import csv
import gzip
import hashlib
import io
import json
import math
import os
import zlib
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping
from pathlib import Path

from lib.artefacts.files import read_regular, sha256
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


# More of dev than this in train means that it is no dev set. GLUE's own have up to 1.5 % (CoLA).
OVERLAP = 0.05


def rows(task: str, train: bool = True) -> tuple[list[dict], list[dict], str, str]:
    """Read (train rows, dev rows, origin, about) of a task from GLUE_DIR.

    train: False leaves out the training rows, and the comparison of dev with them
    Raises Unavailable if that variable is not set. If it is, no other source may stand in for the
    folder that it names: then ValueError says why its rows cannot be used.
    """
    base = os.environ.get("GLUE_DIR")
    if not base:
        raise Unavailable("the environment variable GLUE_DIR is not set")
    folder, checksum, splits = Path(base).expanduser() / task, hashlib.sha256(), []
    dev_names = ("dev_matched", "dev") if task == "MNLI" else ("dev",)
    paths = [_split_file(folder, names) for names in (("train",), dev_names)]
    for path in paths:
        try:
            content = read_regular(path)
        except OSError as fault:
            raise ValueError(f"{path} cannot be read: {fault.strerror}") from None
        checksum.update(content)
        wanted = train or path == paths[-1]
        splits.append(_numbered_rows(path, content, task) if wanted else {})
    training, dev = splits
    _refuse_overlap(*splits, *paths)
    about = "GLUE, read from the folder GLUE_DIR"
    origin = f"folder {Path(base).name}/{task} sha256:{checksum.hexdigest()[:16]}"
    return list(training.values()), list(dev.values()), origin, about


def _split_file(folder: Path, names: tuple[str, ...]) -> Path:
    for name in names:
        for suffix in (".jsonl.gz", ".tsv"):
            if os.path.lexists(folder / f"{name}{suffix}"):  # a link that leads nowhere, too
                return folder / f"{name}{suffix}"
    raise ValueError(
        f"GLUE_DIR is {os.environ['GLUE_DIR']!r}, but {folder} has neither {names[-1]}.jsonl.gz "
        f"nor {names[-1]}.tsv; set it to a folder that has them, or unset it to take the rows from "
        "another source"
    )


def _numbered_rows(path: Path, content: bytes, task: str) -> dict[int, dict]:
    """{line number: row} of a file; a line without a row is left out.

    Raises ValueError with the file and the number of the faulty line, and if there are no rows.
    """
    lines = _json_lines if path.name.endswith(".gz") else _tab_separated_lines
    number, rows = 0, {}
    try:
        for number, row in enumerate(lines(content, task), 1):
            if row is not None:
                rows[number] = row
    except (ValueError, OSError, EOFError, RecursionError, zlib.error, csv.Error) as fault:
        reason = fault.msg if isinstance(fault, json.JSONDecodeError) else fault
        raise ValueError(f"{path}, line {number + 1}: {reason}") from None
    if not rows:
        raise ValueError(f"{path} has no rows")
    return rows


def _json_lines(content: bytes, task: str) -> Iterator[dict]:
    with gzip.open(io.BytesIO(content)) as lines:
        for line in lines:
            record = json.loads(line.decode("utf-8"))
            if not isinstance(record, dict):
                raise ValueError(f"{_short(record)} is not an object with sentence1 and label")
            for key in ("sentence1", "label"):
                if key not in record:
                    raise ValueError(f"the key {key!r} is missing")
            yield _row(task, record["sentence1"], record.get("sentence2"), record["label"])


def _tab_separated_lines(content: bytes, task: str) -> Iterator[dict | None]:
    """Read the lines of an official GLUE file; None for a header and for too few columns.

    Quotation marks are plain text there, MRPC starts with a byte order mark, CoLA has no header,
    and a few of QQP's lines are broken.
    """
    decoded = (line.decode("utf-8") for line in content.removeprefix(BOM_UTF8).splitlines())
    lines = csv.reader(decoded, delimiter="\t", quoting=csv.QUOTE_NONE)
    first, second, label = COLA
    if task != "CoLA":
        header, names = next(lines, []), COLUMNS[task]
        missing = [name for name in names if name and name not in header]
        if missing:
            raise ValueError(
                f"there is no column {missing[0]!r}; the columns are {_short(', '.join(header))}"
            )
        first, label = header.index(names[0]), header.index(names[2])
        second = header.index(names[1]) if names[1] else None
        yield None
    for cells in lines:
        if len(cells) <= max(first, label, second or 0):
            yield None
        else:
            sentence2 = cells[second] if second is not None else None
            yield _row(task, cells[first], sentence2, cells[label])


def _refuse_overlap(
    train: Mapping[int, dict], dev: Mapping[int, dict], train_path: Path, dev_path: Path
) -> None:
    """Raise ValueError if more than OVERLAP of the dev rows' texts stand in train."""

    def text(row: dict) -> tuple:
        return row["sentence1"], row.get("sentence2")

    lines = {text(row): number for number, row in train.items()}
    both = [number for number, row in dev.items() if text(row) in lines]
    if len(both) > OVERLAP * len(dev):
        raise ValueError(
            f"{dev_path}, line {both[0]}: this row is also in {train_path.name}, line "
            f"{lines[text(dev[both[0]])]}, as {len(both)} of {len(dev)} dev rows are; a score on "
            "rows that a model was trained on says nothing, so take other dev rows"
        )


def _short(value) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


def _row(task: str, sentence1, sentence2, label) -> dict:
    sentences = {"sentence1": sentence1}
    if TASKS[task].pair:
        if sentence2 is None:
            raise ValueError(f"{task} needs two sentences, but this row has no sentence2")
        sentences["sentence2"] = sentence2
    for key, sentence in sentences.items():
        if not isinstance(sentence, str):
            raise ValueError(f"{key} is {_short(sentence)}, not a text")
        sentence.encode("utf-8")  # half of a surrogate pair is refused here, not by the tokenizer
    return {**sentences, "label": _label(task, label)}


def _label(task: str, label) -> int | float:
    names = TASKS[task].labels
    if isinstance(label, str) and label in names:
        return names.index(label)
    if names:
        value = int(label) if str(label).isdecimal() else -1
        if value in range(len(names)):
            return value
        raise ValueError(
            f"the label {_short(label)} is not one of {task}'s labels: {', '.join(names)}, "
            f"or 0 to {len(names) - 1}"
        )
    try:
        value = math.nan if isinstance(label, bool) else float(label)
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"the label {_short(label)} is not a finite number")
    return value


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
