"""Which kind of pattern is an attention map? A small image classifier, and labelled maps (paper §5.2, App. F).

The classes are Kovaleva et al.'s (2019). "Heterogeneous" is whatever is none of the other four; its share is an upper
bound on what heads could say about language, not a measure of it.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from lib.analysis import attention, drawn_maps
from lib.analysis.drawn_maps import CLASSES
from lib.model.batches import Encoded
from lib.model.classifier import SentenceClassifier
from lib.paper.masks import plain_array

SIZE = 64  # tokens; longer maps are cropped
LABELLED = Path(__file__).with_name("labelled")


class PatternClassifier(nn.Module):
    """Six 3×3 convolutions (16 16, pool, 32 32, pool, 64 64), a 1×1, the mean over the map, a 1×1 to five classes.

    Reads maps [batch, tokens, tokens] of any one size from 4 on, each divided by its largest value; returns logits
    [batch, 5]. As it ends in a mean, maps need not be padded to one size, as the paper's are. Weights are drawn with
    `generator`.
    """

    def __init__(self, generator: torch.Generator):
        super().__init__()
        conv = lambda before, after, width: nn.utils.skip_init(  # noqa: E731
            nn.Conv2d, before, after, width, padding=width // 2
        )
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
        self.to(memory_format=torch.channels_last)  # what it pays: benchmarks/patterns.py

    def forward(self, maps: Tensor) -> Tensor:
        scaled = (maps / maps.amax((-1, -2), keepdim=True).clamp_min(1e-12)).unsqueeze(1)
        scaled = scaled.contiguous(memory_format=torch.channels_last)
        return self.classes(self.features(scaled).mean((-1, -2), keepdim=True))[..., 0, 0]


def train(
    batches: Iterable[tuple[np.ndarray, np.ndarray]], steps: int, generator: torch.Generator
) -> PatternClassifier:
    """A classifier trained on batches (maps [n, tokens, tokens], classes [n]), one step each; Adam, linear decay.

    steps: how many batches there will be, for the decay.
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
    """So many batches of drawn maps; none comes twice."""
    draw = np.random.default_rng([seed, ("raw", "normed").index(kind)])
    return (drawn_maps.batch(size, kind, draw) for _ in range(steps))


@torch.no_grad()
def classify(model: PatternClassifier, maps: np.ndarray) -> np.ndarray:
    """The class of each map: int [maps]; maps [maps, tokens, tokens] of one size."""
    return model(torch.from_numpy(cropped(maps))).argmax(-1).numpy()


def cropped(maps: np.ndarray) -> np.ndarray:
    """The first 64 tokens' part of maps, float32."""
    return np.ascontiguousarray(maps[..., :SIZE, :SIZE], np.float32)


def count(
    model: SentenceClassifier,
    data: Encoded,
    rows: Iterable[int],
    classifiers: Mapping[str, PatternClassifier],
    heads: np.ndarray,
) -> np.ndarray:
    """How often each head's map is of each class: int [kinds, layers, heads, classes] over these rows.

    classifiers: {"raw": …, "normed": …}. heads: bool [layers, heads]; the others are not looked at and count nothing.
    """
    counts = np.zeros((len(classifiers), *heads.shape, len(CLASSES)), int)
    layers, columns = np.nonzero(heads)
    for both in attention.maps(model, data, rows) if len(layers) else ():
        for number, (classifier, maps) in enumerate(zip(classifiers.values(), both, strict=True)):
            counts[number, layers, columns, classify(classifier, maps[heads])] += 1
    return counts


def correlation(
    survives: np.ndarray, shares: np.ndarray, seed: int = 0, draws: int = 2_000
) -> tuple[float, float, float]:
    """(r, low, high): Pearson's correlation of surviving and a share, with its 95 % bootstrap interval over heads.

    survives: bool [tasks, layers, heads], shares: float in that shape. A head is drawn with all of its tasks. nan where
    all heads survive, or none, or where the shares are all the same.
    """
    a, b = (np.asarray(part, float).reshape(len(part), -1) for part in (survives, shares))
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return (float("nan"),) * 3
    picks = np.random.default_rng(seed).integers(a.shape[1], size=(draws, a.shape[1]))
    drawn = [(a[:, some].ravel(), b[:, some].ravel()) for some in picks]
    found = [np.corrcoef(x, y)[0, 1] for x, y in drawn if np.ptp(x) and np.ptp(y)]
    low, high = np.percentile(found, [2.5, 97.5])
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1]), float(low), float(high)


# --- labelled maps ------------------------------------------------------------------------------------------------


def labelled(kind: str, part: str | None = None) -> tuple[list[np.ndarray], np.ndarray]:
    """(maps, classes): real maps of our own models, labelled by looking; lib/analysis/labelled/README.md says how.

    kind: "raw" or "normed". part: "tuning", the half that was looked at while the drawn maps were made, or "test", or
    None for both. Maps are float32 [tokens, tokens] of different sizes, 1 the largest value.
    """
    with open(LABELLED / "labels.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    flat = np.load(LABELLED / "maps.npy", allow_pickle=False)
    ends = np.cumsum([int(line["tokens"]) ** 2 for line in lines])
    parts = np.split(flat.astype(np.float32) / 255, ends[:-1])
    of_kind = [
        n
        for n, line in enumerate(lines)
        if line["kind"] == kind and line["part"] == (part or line["part"])
    ]
    maps = [parts[n].reshape(int(lines[n]["tokens"]), -1) for n in of_kind]
    return maps, np.array([CLASSES.index(lines[n]["label"]) for n in of_kind])


def annotated(folder: str, kind: str) -> tuple[list[np.ndarray], np.ndarray]:
    """(maps, classes) in the layout of the paper's authors, for who has their annotated maps.

    folder: their `head_classification_data`, with raw/labels.txt and raw/for_training/*.npy, or
    normed/attention_norm_annotated.tsv and normed/data/*.npy. Raises ValueError in one sentence for what is wrong.
    """
    names = {
        "raw": ("raw/labels.txt", "raw/for_training"),
        "normed": ("normed/attention_norm_annotated.tsv", "normed/data"),
    }
    table, data = (Path(folder).expanduser() / name for name in names[kind])
    if not table.is_file():
        raise ValueError(
            f"{table} is not there; name the folder head_classification_data, or leave the parameter empty"
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
    raise ValueError(f"{where}: {label!r} is no class; the classes are {', '.join(CLASSES)}")


def split(classes: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(training, test) indices of labelled maps: a fifth of each class for the test."""
    draw = np.random.default_rng(seed)
    of_class = [draw.permutation(np.flatnonzero(classes == c)) for c in np.unique(classes)]
    test = np.concatenate([members[: -(-len(members) // 5)] for members in of_class])
    return np.setdiff1d(np.arange(len(classes)), test), np.sort(test)


def batches_by_size(
    maps: list[np.ndarray], classes: np.ndarray, epochs: int, seed: int, size: int = 16
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Batches of maps of one size each, in random order, so many times over; maps are cropped to 64 tokens."""
    draw = np.random.default_rng(seed)
    maps = [cropped(one) for one in maps]
    for _ in range(epochs):
        order = draw.permutation(len(maps))
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
