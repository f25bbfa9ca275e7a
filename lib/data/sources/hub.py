"""The Hugging Face hub: GLUE as nyu-mll/glue, and any encoder with BertModel's layout.

`prepare` and `prepare_rows` ask the hub for the newest revision, or the pinned one, download it and
compare checksums. `encoder` and `rows` take what is in the cache, so a run needs the hub only when
it starts, and all its notebooks get the same revision.
"""

import hashlib
from functools import cache
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from lib.artefacts.files import sha256
from lib.data.glue import TASKS
from lib.data.sources import pretrained
from lib.data.sources.unavailable import Unavailable

IDS = {"minilm-l6": "sentence-transformers/all-MiniLM-L6-v2", "e5-small": "intfloat/e5-small"}
GLUE = "nyu-mll/glue"
COLUMNS = {
    "CoLA": ("sentence", None),
    "SST-2": ("sentence", None),
    "QQP": ("question1", "question2"),
    "MNLI": ("premise", "hypothesis"),
    "QNLI": ("question", "sentence"),
}


# --- rows ---


def rows(task: str, train: bool = True) -> tuple[list[dict], list[dict], str, str]:
    """Get (train rows, dev rows, origin, about) of a task; MNLI's dev set is the matched one."""
    return _rows(task, _snapshot(GLUE, _splits(task), "dataset"), train)


def prepare_rows(task: str) -> str:
    """Download the rows of a task, read them, and return their origin."""
    return _rows(task, _newest(GLUE, _splits(task), "dataset"))[2]


def _splits(task: str) -> tuple[str, str]:
    folder, dev = _folder(task), "validation_matched" if task == "MNLI" else "validation"
    return f"{folder}/train-*.parquet", f"{folder}/{dev}-*.parquet"


def _folder(task: str) -> str:
    return task.lower().replace("-", "")


def _rows(task: str, snapshot: Path, train: bool = True) -> tuple[list[dict], list[dict], str, str]:
    of_train, of_dev = _splits(task)
    split = {"train": _read(task, snapshot, of_train) if train else []}
    split["dev"] = _read(task, snapshot, of_dev)
    origin = f"hub {GLUE}@{snapshot.name} {_folder(task)}"
    return split["train"], split["dev"], origin, "GLUE as the hub has it"


def _read(task: str, snapshot: Path, pattern: str) -> list[dict]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    first, second = COLUMNS.get(task, ("sentence1", "sentence2"))
    names = {first: "sentence1", **({second: "sentence2"} if second else {}), "label": "label"}
    found = sorted(snapshot.glob(pattern))
    if not found:
        raise Unavailable(f"{GLUE} has no {pattern} in its revision {snapshot.name}")
    try:
        table = pa.concat_tables(pq.read_table(path, columns=list(names)) for path in found)
        label = table.schema.get_field_index("label")
        kind = pa.int64() if TASKS[task].labels else pa.float64()
        table = table.set_column(label, "label", table["label"].cast(kind))
        return table.select(list(names)).rename_columns(list(names.values())).to_pylist()
    except (pa.ArrowException, KeyError, OSError) as fault:
        reason = " ".join(str(fault).split())
        raise ValueError(f"{found[0]} cannot be read ({reason}); delete it and run again") from None


# --- encoders ---


def encoder(name: str, revision: str | None = None):
    """Load (encoder, tokenizer, origin) of a model on the hub."""
    repo, folder = _encoder(name, revision, _snapshot)
    try:
        loaded = pretrained.load(folder, f"it is {repo} on the hub; choose another encoder")
    except pretrained.Damaged as fault:
        _delete([fault.path])
        raise ValueError(f"{fault}, and was deleted; run again to download it again") from None
    return *loaded, f"hub {repo}@{folder.name}"


def prepare(name: str, revision: str | None = None) -> str:
    """Download a model into the hub's cache and return its origin."""
    repo, folder = _encoder(name, revision, _newest)
    return f"hub {repo}@{folder.name}"


def revision_in(origin: str) -> str | None:
    """Find the revision in the origin of an encoder; None if it is not from the hub."""
    return origin.partition("@")[2] or None if origin.startswith("hub ") else None


def _encoder(name: str, revision: str | None, get) -> tuple[str, Path]:
    if name == "tiny":
        raise Unavailable("tiny is not on the hub; the source tiny makes it")
    repo, wanted = IDS.get(name, name), ("config.json", *pretrained.TOKENIZER)
    folder = get(repo, (*wanted, *pretrained.SAFETENSORS), "model", revision)
    if not any(folder.glob(pretrained.SAFETENSORS[0])):
        folder = get(repo, (*wanted, *pretrained.TORCH), "model", revision)
    return repo, folder


# --- the hub's cache ---


def _snapshot(repo: str, wanted: tuple, kind: str, revision: str | None = None) -> Path:
    """Find these files in the cache, or else download them. Returns the folder of a revision."""
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return _get(repo, wanted, kind, revision, local_files_only=True)
    except (LocalEntryNotFoundError, ValueError):  # ValueError: a name that the hub cannot have
        return _newest(repo, wanted, kind, revision)


def _newest(repo: str, wanted: tuple, kind: str, revision: str | None = None) -> Path:
    """Download what the cache lacks of these files, if the hub can be reached, and check them all.

    A file that is not what the hub lists is deleted and downloaded once more.
    Raises Unavailable with the reason, and ValueError for a file that is damaged again.
    """
    unreachable = _unreachable()
    damaged: list[Path] = []
    for _ in range(2):
        try:
            folder = _get(repo, wanted, kind, revision, local_files_only=bool(unreachable))
        # the client raises dozens of kinds of errors; each means that it cannot have the files
        except Exception as fault:
            raise Unavailable(_reason(repo, revision, fault, unreachable)) from None
        damaged = _damaged(repo, kind, folder)
        if not damaged:
            return folder
        _delete(damaged)
    raise ValueError(
        f"{damaged[0].name} of {repo} was damaged twice on its way from the hub (its checksum is "
        "not the one that the hub lists), and was deleted; check the network and run again"
    )


def _get(repo: str, wanted: tuple, kind: str, revision: str | None, local_files_only: bool) -> Path:
    from huggingface_hub import snapshot_download

    with pretrained.quiet():
        return Path(
            snapshot_download(
                repo,
                repo_type=kind,
                revision=revision,
                allow_patterns=list(wanted),
                local_files_only=local_files_only,
            )
        )


def _damaged(repo: str, kind: str, folder: Path) -> list[Path]:
    """List the files that are not what the hub listed when they were downloaded."""
    from huggingface_hub import get_cached_repo_tree
    from huggingface_hub.errors import CachedRepoTreeNotFoundError

    try:
        listed = get_cached_repo_tree(repo, repo_type=kind, revision=folder.name)
    except CachedRepoTreeNotFoundError:  # filled by an older client, and now the hub is away
        return []
    there = [(folder / file.path, file) for file in listed if (folder / file.path).is_file()]
    return [
        path
        for path, file in there
        if (sha256(path) != file.lfs.sha256 if file.lfs else _git_hash(path) != file.blob_id)
    ]


def _git_hash(path: Path) -> str:
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _delete(paths: list[Path]) -> None:
    for path in paths:
        path.resolve().unlink(missing_ok=True)  # what the link points to
        path.unlink(missing_ok=True)


def _reason(repo: str, revision: str | None, fault: Exception, unreachable: str) -> str:
    from huggingface_hub import constants, errors

    match fault:
        case errors.GatedRepoError():
            return (
                f"access to {repo} is restricted: ask for it at {constants.ENDPOINT}/{repo}, then "
                "log in with `hf auth login` (or set HF_TOKEN)"
            )
        case errors.RevisionNotFoundError():
            return f"{repo} has no revision {revision}"
        case errors.RepositoryNotFoundError():
            return f"there is no {repo}, or it is private and you must log in with `hf auth login`"
        case errors.LocalEntryNotFoundError() if unreachable:
            pinned = f" in the revision {revision}" if revision else ""
            return f"{unreachable}, and {repo} is not in the cache{pinned}"
    return f"{repo} could not be loaded ({' '.join(str(fault).split())})"


@cache
def _unreachable() -> str:
    """Say why the hub cannot be reached; "" if it can. Asked once, briefly.

    Without a network, the hub's own client may wait forever.
    """
    from huggingface_hub import constants, is_offline_mode

    if is_offline_mode():
        return "HF_HUB_OFFLINE is set"
    try:
        urlopen(Request(constants.ENDPOINT, method="HEAD"), timeout=10).close()
    except HTTPError:
        return ""  # an error page is an answer, too
    except OSError as fault:
        return f"the hub cannot be reached ({getattr(fault, 'reason', fault)})"
    return ""
