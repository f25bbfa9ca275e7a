"""Load an encoder and its tokenizer from files or the hub, without progress bars."""


def load(where):
    """Load (encoder, tokenizer) from a folder or a model id, in float32.

    Weights that the files lack (the pooler of some encoders) are random, always the same.
    Errors are those of transformers.
    """
    import torch
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging

    had_progress_bar = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            encoder = AutoModel.from_pretrained(where, dtype=torch.float32)
            return encoder, AutoTokenizer.from_pretrained(where)
    finally:
        if had_progress_bar:
            logging.enable_progress_bar()
