"""Load an encoder and its tokenizer from a folder: quietly, and only if all of it is there."""

import json
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

TOKENIZER = ("tokenizer*", "vocab*", "merges.txt", "*.model", "special_tokens_map.json")
TOKENIZER += ("added_tokens.json",)
SAFETENSORS = ("model*.safetensors", "model.safetensors.index.json")
TORCH = ("pytorch_model*.bin", "pytorch_model.bin.index.json")  # read only if there is no other


class Damaged(ValueError):
    """The file of weights at `path` cannot be read."""

    def __init__(self, path: Path, fault: Exception):
        super().__init__(f"{path} is damaged ({fault})")
        self.path = path


def files(folder: Path) -> list[Path]:
    """List the files that `load` reads."""
    weights = SAFETENSORS if any(folder.glob(SAFETENSORS[0])) else TORCH
    return sorted(
        {path for name in ("config.json", *TOKENIZER, *weights) for path in folder.glob(name)}
    )


def load(folder: Path, way_out: str):
    """Load (encoder, tokenizer) from a folder that save_pretrained could have written, in float32.

    Weights that the files lack are an error, but for a pooler, which some encoders never had: it is
    random, always the same. Code that comes with an encoder is never run.
    way_out: the end of each message: what to do about it
    Raises Damaged if weights cannot be read, and ValueError if something is missing or is not of
    this encoder; both are one sentence.
    """
    _check_config(folder, way_out)
    _check_weights(folder, way_out)
    try:
        with quiet():
            encoder, found, tokenizer = _load(folder)
    except MemoryError:
        raise
    # transformers raises whatever a file happens to break
    except Exception as fault:
        reason = " ".join(str(fault).split())
        raise ValueError(
            f"the encoder in {folder} cannot be loaded ({reason}); {way_out}"
        ) from None
    weights = f"the weights in {folder}"
    for name, theirs, ours in sorted(found["mismatched_keys"]):
        raise ValueError(
            f"{weights} are of another model than its config.json: {name} has the shape "
            f"{tuple(theirs)}, not {tuple(ours)}; {way_out}"
        )
    missing = sorted(name for name in found["missing_keys"] if not name.startswith("pooler."))
    if missing:
        others = f" (but {min(found['unexpected_keys'])})" if found["unexpected_keys"] else ""
        raise ValueError(
            f"{weights} are of another model than its config.json: there is no "
            f"{missing[0]}{others}, and {len(missing) - 1} more are missing; {way_out}"
        )
    _check_tokenizer(folder, tokenizer, encoder, way_out)
    return encoder, tokenizer


def _load(folder: Path):
    import torch
    from transformers import AutoModel, AutoTokenizer

    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder, found = AutoModel.from_pretrained(
            folder,
            dtype=torch.float32,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,  # they are reported instead of raised
            output_loading_info=True,
        )
    return encoder, found, AutoTokenizer.from_pretrained(folder, trust_remote_code=False)


def _check_config(folder: Path, way_out: str) -> None:
    from transformers import CONFIG_MAPPING

    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        kind = config["model_type"]
    except (OSError, ValueError, KeyError, TypeError) as fault:
        raise ValueError(f"{path} is not the config of an encoder ({fault!r}); {way_out}") from None
    if kind not in CONFIG_MAPPING:
        own = (
            ", only the code that comes with it, which is never run" if "auto_map" in config else ""
        )
        raise ValueError(
            f"{path} names the architecture {kind!r}, which transformers does not have{own}; "
            f"{way_out}"
        )


def _check_weights(folder: Path, way_out: str) -> None:
    from safetensors import SafetensorError, safe_open

    weights = [path for name in (SAFETENSORS[0], TORCH[0]) for path in sorted(folder.glob(name))]
    if not weights:
        raise ValueError(f"{folder} has no model.safetensors; {way_out}")
    for path in weights:
        try:
            if path.suffix == ".safetensors":
                with safe_open(path, "np"):
                    pass
        except (SafetensorError, OSError) as fault:
            raise Damaged(path, fault) from None


def _check_tokenizer(folder: Path, tokenizer, encoder, way_out: str) -> None:
    words = tokenizer.get_vocab()
    if words.keys() <= set(tokenizer.all_special_tokens):
        raise ValueError(
            f"{folder} has no tokenizer (tokenizer.json, or a vocabulary), so every word would be "
            f"unknown; {way_out}"
        )
    rows = encoder.get_input_embeddings().num_embeddings
    if max(words.values()) >= rows:
        raise ValueError(
            f"the tokenizer in {folder} is of another model: it has {len(words):,} words, and the "
            f"encoder has embeddings for {rows:,}; {way_out}"
        )
    needed = {"pad": tokenizer.pad_token_id, "sep": tokenizer.sep_token_id}
    for name, token in needed.items():
        if token is None:
            raise ValueError(f"the tokenizer in {folder} has no {name} token; {way_out}")


@contextmanager
def quiet() -> Generator[None]:
    """Let transformers and the hub's client show neither reports nor progress bars in a block."""
    from huggingface_hub.utils import logging as hub_logging
    from transformers.utils import logging

    bars, before, hub_before = (
        logging.is_progress_bar_enabled(), logging.get_verbosity(), hub_logging.get_verbosity()
    )  # fmt: skip
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    hub_logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        hub_logging.set_verbosity(hub_before)
        if bars:
            logging.enable_progress_bar()
