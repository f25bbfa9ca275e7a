import numpy as np
import pytest
import torch

from lib.data import sources
from lib.model.classifier import SentenceClassifier
from lib.tickets import frozen


@pytest.fixture(scope="module")
def tiny():
    encoder, tokenizer, _ = sources.encoder("tiny", ["tiny"])
    model = SentenceClassifier(encoder, 2, "mean", torch.Generator().manual_seed(0))
    return model, tokenizer


@pytest.fixture(scope="module")
def rows():
    return {task: sources.rows(task, ["tiny"]) for task in ("SST-2", "STS-B", "RTE")}


def test_a_sentence_has_the_mean_of_its_own_tokens_as_its_vector(tiny):
    model, tokenizer = tiny
    texts = ["the cat sleeps", "the happy dog runs in the garden"]
    found = frozen.vectors(model, texts, tokenizer)
    for text, vector in zip(texts, found, strict=True):
        inputs = tokenizer(text, return_tensors="pt")
        with torch.no_grad():
            by_hand = model.encoder.eval()(**inputs).last_hidden_state[0].mean(0)
        assert np.allclose(vector, by_hand, atol=1e-5)


def test_regression_is_read_by_the_cosine(tiny, rows):
    model, tokenizer = tiny
    dev = rows["STS-B"].dev
    u, v = (
        frozen.vectors(model, [r[s] for r in dev], tokenizer) for s in ("sentence1", "sentence2")
    )
    cosines = [a @ b / np.sqrt(a @ a * (b @ b)) for a, b in zip(u, v, strict=True)]
    by_hand = np.corrcoef(cosines, [row["label"] for row in dev])[0, 1]
    assert np.isclose(frozen.score("STS-B", model, tokenizer, [], dev), by_hand, atol=1e-5)


@pytest.mark.parametrize("task", ["SST-2", "RTE"])
def test_a_probe_learns_its_training_rows(tiny, rows, task):
    model, tokenizer = tiny
    few = rows[task].train[:20]
    assert frozen.score(task, model, tokenizer, few, few) > 0.9


def test_training_rows_of_one_class_give_that_class(tiny, rows):
    model, tokenizer = tiny
    ones = [row for row in rows["SST-2"].train if row["label"] == 1][:5]
    dev = rows["SST-2"].dev
    share = np.mean([row["label"] for row in dev])
    assert np.isclose(frozen.score("SST-2", model, tokenizer, ones, dev), share)


def test_a_text_that_is_longer_than_the_encoder_can_read_is_cut(tiny):
    model, tokenizer = tiny
    long, cut = (" ".join(["cat"] * count) for count in (300, 62))  # it has 64 positions
    first, second = frozen.vectors(model, [long, cut], tokenizer)
    assert np.array_equal(first, second)
