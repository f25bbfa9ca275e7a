"""Classify attention maps by their pattern, and load labelled maps (paper §5.2, App. F).

The classes are those of Kovaleva et al. (2019). "Heterogeneous" is every map that fits none of the
other four. Its share is an upper bound on the maps that could encode language, not a measure of it.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from lib.analysis import attention, drawn_maps
from lib.analysis.agreement import against_chance, shuffled_products
from lib.analysis.drawn_maps import CLASSES
from lib.model.batches import Encoded
from lib.model.classifier import SentenceClassifier
from lib.paper.masks import plain_array

SIZE = 64  # tokens; longer maps are cropped to their first ones
LABELLED = Path(__file__).with_name("labelled")


class PatternClassifier(nn.Module):
    """A small convolutional network: maps [batch, tokens, tokens] → logits [batch, 5].

    Six 3×3 convolutions (16 16, pool, 32 32, pool, 64 64), a 1×1, the mean over the map, and a 1×1
    to the classes. Thanks to the mean, maps need not be padded to one size, as the paper's are: a
    batch may have any size from 4 tokens on. Each map is first divided by its largest value.
    generator: draws the initial weights
    """

    def __init__(self, generator: torch.Generator):
        super().__init__()

        def conv(before: int, after: int, width: int) -> nn.Module:
            """A convolution that keeps the map's size; its weights are drawn below."""
            return nn.utils.skip_init(nn.Conv2d, before, after, width, padding=width // 2)

        layers: list[nn.Module] = []
        for before, after in ((1, 16), (16, 32), (32, 64)):
            layers += [
                conv(before, after, 3),
                nn.ReLU(),
                conv(after, after, 3),
                nn.ReLU(),
                nn.MaxPool2d(2),
            ]
        self.features = nn.Sequential(*layers[:-1], conv(64, 64, 1), nn.ReLU())
        self.classes = conv(64, len(CLASSES), 1)
        for parameter in self.parameters():
            if parameter.ndim > 1:
                nn.init.kaiming_normal_(parameter, generator=generator)
            else:
                nn.init.zeros_(parameter)
        # for speed: benchmarks/patterns.py
        self.to(memory_format=torch.channels_last)  # ty: ignore[no-matching-overload]

    def forward(self, maps: Tensor) -> Tensor:
        scaled = (maps / maps.amax((-1, -2), keepdim=True).clamp_min(1e-12)).unsqueeze(1)
        scaled = scaled.contiguous(memory_format=torch.channels_last)
        return self.classes(self.features(scaled).mean((-1, -2), keepdim=True))[..., 0, 0]


def train(
    batches: Iterable[tuple[np.ndarray, np.ndarray]], steps: int, generator: torch.Generator
) -> PatternClassifier:
    """Train a classifier with Adam, one step per batch (maps [n, tokens, tokens], classes [n]).

    steps: the number of batches; the learning rate decays linearly over them, but not below 2 %
    """
    model = PatternClassifier(generator)
    optimiser = torch.optim.Adam(model.parameters(), lr=2e-3)
    decay = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: max(0.02, 1 - step / steps))
    for maps, classes in batches:
        logits = model(torch.from_numpy(cropped(maps)))
        loss = nn.functional.cross_entropy(logits, torch.from_numpy(classes))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        decay.step()
    return model.eval()


def drawn_batches(
    steps: int, kind: str, seed: int, size: int = 40
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Draw `steps` batches of `size` synthetic maps, each batch anew; kind: "raw" or "normed"."""
    draw = np.random.default_rng([seed, ("raw", "normed").index(kind)])
    return (drawn_maps.batch(size, kind, draw) for _ in range(steps))


@torch.no_grad()
def classify(model: PatternClassifier, maps: np.ndarray) -> np.ndarray:
    """Predict the class of each map, int [maps]; maps: [maps, tokens, tokens]."""
    return model(torch.from_numpy(cropped(maps))).argmax(-1).numpy()


def cropped(maps: np.ndarray) -> np.ndarray:
    """Crop maps to the first 64 tokens, as float32."""
    return np.ascontiguousarray(maps[..., :SIZE, :SIZE], np.float32)


def count(
    model: SentenceClassifier,
    data: Encoded,
    rows: Iterable[int],
    classifiers: Mapping[str, PatternClassifier],
    heads: np.ndarray,
) -> np.ndarray:
    """Count how often each head's map is of each class: int [kinds, layers, heads, classes].

    rows: the examples of `data` whose maps are counted
    classifiers: {"raw": …, "normed": …}, in this order, which is the order of the kinds
    heads: bool [layers, heads]; the counts of all other heads are 0
    """
    counts = np.zeros((len(classifiers), *heads.shape, len(CLASSES)), int)
    layers, columns = np.nonzero(heads)
    for raw_and_normed in attention.maps(model, data, rows) if len(layers) else ():
        kinds = zip(classifiers.values(), raw_and_normed, strict=True)
        for number, (classifier, maps) in enumerate(kinds):
            counts[number, layers, columns, classify(classifier, maps[heads])] += 1
    return counts


class Correlation(NamedTuple):
    """A correlation, and what it is when heads are shuffled within their layer.

    r: Pearson's, with every task centred on its own mean
    expected: the mean of r over shuffles: what a trend over the layers gives by itself
    low, high: 2.5th and 97.5th percentile over shuffles. This is the range of chance, and no
        confidence interval: it lies around `expected`, not around r.
    p: two-sided, the share of shuffles that are at least as far from `expected` as r is
    """

    r: float
    expected: float
    low: float
    high: float
    p: float


def correlation(
    survives: np.ndarray, shares: np.ndarray, seed: int = 0, draws: int = 10_000
) -> Correlation:
    """Correlate survival with a share over the heads of all tasks, and test it by permutation.

    Each task is centred on its own mean, so a task that keeps more heads than another one adds
    nothing. Each draw shuffles the heads within each layer, so a trend over the layers that both
    quantities have is part of chance. All tasks are shuffled alike: a head has much the same maps
    in every task, so several tasks are not as many independent samples.
    survives: bool [tasks, layers, heads]; shares: float of the same shape
    All numbers are nan if one of the two is constant in every task; those of the test are nan if
    shuffling changes nothing.
    """
    a, b = (np.asarray(array, float) for array in (survives, shares))
    a, b = (array - array.mean((1, 2), keepdims=True) for array in (a, b))
    lengths = np.linalg.norm(a) * np.linalg.norm(b)
    nan = float("nan")
    if np.allclose(a, 0) or np.allclose(b, 0):
        return Correlation(nan, nan, nan, nan, nan)
    r = float((a * b).sum() / lengths)
    sums = shuffled_products(a, b, seed, draws)
    if sums is None:
        return Correlation(r, nan, nan, nan, nan)
    drawn = sums[1] / lengths
    expected, (low, high) = float(drawn.mean()), np.percentile(drawn, [2.5, 97.5])
    p = against_chance(abs(r - expected), np.abs(drawn - expected)).p
    return Correlation(r, expected, float(low), float(high), p)


# --- how well the classifier does -----------------------------------------------------------------


def weighted_f1(
    classes: np.ndarray, given: np.ndarray, seed: int = 0, draws: int = 2_000
) -> tuple[float, float, float]:
    """Compute the classifier's weighted F1 and its 95 % bootstrap interval: (F1, low, high).

    Each draw takes maps with replacement. So the interval says how much the F1 would change with
    other maps of the same kind; the classifier and the person who labelled the maps stay the same.
    classes, given: int [maps], the labels and the classifier's answers
    """

    one_hot = np.eye(max(classes.max(), given.max()) + 1)

    def score(labels: np.ndarray, answers: np.ndarray) -> np.ndarray:
        """Weighted F1 of each draw; labels, answers: int [draws, maps]."""
        labelled, answered = one_hot[labels], one_hot[answers]
        in_class, both = labelled.sum(1), (labelled * answered).sum(1)
        # the F1 of a class is 2 · both / (labelled + answered), and 0 / 0 has no weight
        f1 = 2 * both / np.maximum(in_class + answered.sum(1), 1)
        return (f1 * in_class).sum(1) / labels.shape[1]

    picks = np.random.default_rng(seed).integers(len(classes), size=(draws, len(classes)))
    low, high = np.percentile(score(classes[picks], given[picks]), [2.5, 97.5])
    return float(score(classes[None], given[None])[0]), float(low), float(high)


# --- labelled maps --------------------------------------------------------------------------------


def labelled(kind: str, part: str | None = None) -> tuple[list[np.ndarray], np.ndarray]:
    """Load real maps of our own models, labelled by eye: (maps, classes). See labelled/README.md.

    kind: "raw" or "normed"
    part: "tuning" (the half looked at while the drawn maps were improved), "test", or None for both
    Maps are float32 [tokens, tokens] of different sizes; the largest value of each is 1.
    """
    with open(LABELLED / "labels.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    flat = np.load(LABELLED / "maps.npy", allow_pickle=False)
    ends = np.cumsum([int(line["tokens"]) ** 2 for line in lines])
    arrays = np.split(flat.astype(np.float32) / 255, ends[:-1])
    chosen = [
        n
        for n, line in enumerate(lines)
        if line["kind"] == kind and line["part"] == (part or line["part"])
    ]
    maps = [arrays[n].reshape(int(lines[n]["tokens"]), -1) for n in chosen]
    return maps, np.array([CLASSES.index(lines[n]["label"]) for n in chosen])


def annotated(folder: str, kind: str) -> tuple[list[np.ndarray], np.ndarray]:
    """Load the maps that the paper's authors annotated, if you have them: (maps, classes).

    folder: their `head_classification_data`
    kind: "raw" reads raw/labels.txt and raw/for_training/*.npy; "normed" reads
    normed/attention_norm_annotated.tsv and normed/data/*.npy
    Raises ValueError for a missing table, an unknown label or a bad map; FileNotFoundError for a
    missing map.
    """
    names = {
        "raw": ("raw/labels.txt", "raw/for_training"),
        "normed": ("normed/attention_norm_annotated.tsv", "normed/data"),
    }
    table, data = (Path(folder).expanduser() / name for name in names[kind])
    if not table.is_file():
        raise ValueError(
            f"{table} does not exist; set annotated_dir to the folder head_classification_data, "
            "or leave it empty"
        )
    maps, classes = [], []
    for number, line in enumerate(table.read_text().splitlines(), 1):
        name, _, label = line.strip().partition("\t")
        if not name or (number == 1 and label.strip().lower() in ("label", "class", "type")):
            continue
        maps.append(
            plain_array(data / f"{Path(name).name.removesuffix('.npy')}.npy", 2).astype(np.float32)
        )
        classes.append(_class(label, f"{table}, line {number}"))
    return maps, np.array(classes)


def _class(label: str, where: str) -> int:
    words = set(re.split(r"[\s_+,-]+", label.lower())) - {"", "and"}
    if words in ({"mixed"}, {"other"}):
        words = {"heterogeneous"}
    for number, name in enumerate(CLASSES):
        if words == set(name.split("+")):
            return number
    raise ValueError(f"{where}: the label is {label!r}; it can be {', '.join(CLASSES)}")


def split(classes: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Split labelled maps: (training, test) indices; a fifth of each class, rounded up, is test."""
    draw = np.random.default_rng(seed)
    by_class = [draw.permutation(np.flatnonzero(classes == c)) for c in np.unique(classes)]
    test = np.concatenate([members[: -(-len(members) // 5)] for members in by_class])
    return np.setdiff1d(np.arange(len(classes)), test), np.sort(test)


def batches_by_size(
    maps: list[np.ndarray], classes: np.ndarray, epochs: int, seed: int, size: int = 16
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield batches for some epochs, in random order; the maps of a batch have one size.

    Maps are cropped to 64 tokens first. size: the most maps in a batch
    """
    draw = np.random.default_rng(seed)
    maps = [cropped(array) for array in maps]
    for _ in range(epochs):
        order = draw.permutation(len(maps))
        # a stable sort keeps the random order among maps of one size
        order = order[np.argsort([maps[n].shape[0] for n in order], kind="stable")]
        batches, group = [], []
        for n in order:
            if group and (len(group) == size or maps[group[0]].shape != maps[n].shape):
                batches.append(group)
                group = []
            group.append(n)
        batches += [group] if group else []
        for chosen in (batches[i] for i in draw.permutation(len(batches))):
            yield np.stack([maps[n] for n in chosen]), classes[chosen]
