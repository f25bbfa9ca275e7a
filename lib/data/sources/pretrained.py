"""Loading an encoder and its tokenizer from files or the hub, without progress bars."""


def load(where):
    """(encoder, tokenizer) from a folder or a model id, in float32. Errors are transformers' own.

    Weights that the files lack (the pooler of some encoders) are drawn, always the same.
    """
    import torch
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return AutoModel.from_pretrained(
                where, dtype=torch.float32
            ), AutoTokenizer.from_pretrained(where)
    finally:
        if shown:
            logging.enable_progress_bar()
