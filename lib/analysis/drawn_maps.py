"""Draw synthetic attention maps, to train a classifier without labelled ones (paper §5.2, App. F).

A map is a softmax over scores, as in attention; the scores are a pattern plus noise. Maps differ in
the ways that real maps do: in length, in how many diagonals there are and how sharp and straight,
in which columns are looked at and by how many rows, and in where the first sentence ends.
"""

from dataclasses import dataclass

import numpy as np

CLASSES = ("diagonal", "vertical", "vertical+diagonal", "block", "heterogeneous")


@dataclass(frozen=True)
class Variety:
    """How much the drawn maps vary. Each range is one from which a map's value is drawn uniformly.

    tokens: the length of a map
    noise: the standard deviation of the noise in the scores
    strength: by how much a pattern raises the scores; some patterns shift or scale it a little
    width: of a diagonal, in tokens
    diagonals: besides the main one, up to `diagonals - 1` further ones on each side of it
    columns: up to this many columns besides those of special tokens
    gaps: the share of rows that ignore the pattern, times 0.6 for diagonals and 0.7 for columns
    """

    tokens: tuple[int, int] = (8, 64)
    noise: tuple[float, float] = (0.3, 1.3)
    strength: tuple[float, float] = (2.0, 6.0)
    width: tuple[float, float] = (0.5, 3.0)
    diagonals: int = 3
    columns: int = 8
    gaps: tuple[float, float] = (0.0, 0.5)


TRAINING = Variety()
# for a test: longer, noisier, fainter maps, with more diagonals, columns and gaps
HELD_OUT = Variety((10, 72), (0.6, 1.6), (1.8, 5.0), (0.4, 4.0), 4, 12, (0.2, 0.6))


def batch(
    size: int, kind: str, draw: np.random.Generator, variety: Variety = TRAINING
) -> tuple[np.ndarray, np.ndarray]:
    """Draw (maps float32 [size, tokens, tokens], classes int64 [size]), all maps of one length.

    All classes are equally frequent, up to one map.
    kind: "raw", or "normed", where each column is weighted by a length ‖f(x)‖: small for special
    tokens
    """
    tokens = int(draw.integers(*variety.tokens, endpoint=True))
    classes = draw.permutation(np.arange(size) % len(CLASSES))
    return np.stack([_map(CLASSES[c], kind, tokens, draw, variety) for c in classes]), classes


def _map(
    name: str, kind: str, tokens: int, draw: np.random.Generator, variety: Variety
) -> np.ndarray:
    def strength() -> float:
        return draw.uniform(*variety.strength)

    separator = int(draw.uniform(0.2, 0.8) * tokens)
    specials = [0, tokens - 1] + [separator] * int(draw.random() < 0.6)
    scores = draw.normal(0, draw.uniform(*variety.noise), (tokens, tokens))
    # some tokens get a little more attention than others
    scores += draw.normal(0, draw.uniform(0, 0.6), tokens)
    if name in ("diagonal", "vertical+diagonal"):
        scores = _with_diagonals(scores, strength() + 0.5, draw, variety)
    if name in ("vertical", "vertical+diagonal"):
        # in a normed map special tokens get small weights, so their columns would hardly show
        candidates = specials if kind == "raw" else []
        scores = _with_columns(
            scores, candidates, strength() - 0.5 * (name != "vertical"), draw, variety
        )
    same_sentence = (np.arange(tokens) <= separator)[:, None] == (np.arange(tokens) <= separator)
    if name == "block":
        scores += 0.7 * strength() * same_sentence
        if draw.random() < 0.5:
            scores[:, specials] += strength() * draw.uniform(0.3, 0.8)
    elif draw.random() < 0.3:  # slightly more attention to the own sentence is no block yet
        scores += draw.uniform(0.2, 0.6) * same_sentence
    if name == "heterogeneous":
        scores = _heterogeneous(scores, specials, draw)
    weights = np.exp(scores - scores.max(1, keepdims=True))
    weights /= weights.sum(1, keepdims=True)
    if kind == "normed":
        lengths = draw.lognormal(0, draw.uniform(0.1, 0.7), tokens)
        lengths[specials] *= draw.uniform(0.02, 0.5)
        weights = weights * lengths
    return weights.astype(np.float32)


def _with_diagonals(
    scores: np.ndarray, strength: float, draw: np.random.Generator, variety: Variety
) -> np.ndarray:
    """Add a main diagonal and, sometimes, parallel ones, as in sentences that repeat each other."""
    tokens = len(scores)
    away = np.arange(tokens) - np.arange(tokens)[:, None]
    width = draw.uniform(*variety.width)
    followed = draw.random((tokens, 1)) >= draw.uniform(*variety.gaps) * 0.6
    offsets = [int(draw.integers(-2, 3))]
    if draw.random() < 0.25 and variety.diagonals > 1:
        more = draw.integers(3, max(4, tokens // 2), size=int(draw.integers(1, variety.diagonals)))
        offsets += [int(o) for o in more] + [-int(o) for o in more]
    for number, offset in enumerate(offsets):
        distance = np.abs(away - offset) / width
        bump = np.exp(-(distance**2)) if draw.random() < 0.5 else np.clip(1 - distance / 2, 0, None)
        weight = strength * (0.7 if number else 1)
        scores = scores + weight * bump * (followed | (draw.random() < 0.3))
    return scores


def _with_columns(
    scores: np.ndarray,
    specials: list[int],
    strength: float,
    draw: np.random.Generator,
    variety: Variety,
) -> np.ndarray:
    """Add columns that most rows look at: special tokens or any others."""
    tokens, scores = len(scores), scores.copy()
    columns = [c for c in specials if draw.random() < 0.7] if draw.random() < 0.75 else []
    if not columns or draw.random() < 0.3:
        others = draw.integers(0, tokens, size=int(draw.integers(1, variety.columns + 1)))
        columns = [*columns, *others]
    gaps = draw.uniform(*variety.gaps) * 0.7
    heights = strength * draw.uniform(0.6, 1.1, len(columns))
    for column, height in zip(columns, heights, strict=True):
        looking = draw.random(tokens) >= gaps
        scores[:, column] += height * looking + draw.normal(0, 0.3, tokens)
    return scores


def _heterogeneous(
    scores: np.ndarray, specials: list[int], draw: np.random.Generator
) -> np.ndarray:
    """Add what makes no other class: grids, favoured stretches, clumps, single cells."""
    tokens, scores = len(scores), scores.copy()
    if draw.random() < 0.5:  # hidden kinds of tokens that look at each other: a grid of cells
        rank = int(draw.integers(1, 5))
        scores += (
            draw.uniform(0.5, 1.5)
            * draw.normal(size=(tokens, rank))
            @ draw.normal(size=(rank, tokens))
            / rank**0.5
        )
    if draw.random() < 0.4:  # stretches of the sentence that get more attention; two sorts of rows
        smooth = np.ones(max(2, tokens // 5))
        wave = np.convolve(draw.normal(size=2 * tokens), smooth, "same")[: 2 * tokens]
        scores += draw.uniform(0.1, 0.6) * np.where(
            draw.random((tokens, 1)) < 0.8, wave[:tokens], wave[tokens:]
        )
    for _ in range(int(draw.integers(0, 6))):  # clumps of any place and size
        i, j = draw.integers(0, tokens, 2)
        height, width = draw.integers(1, max(2, tokens // 4), 2)
        scores[i : i + height, j : j + width] += draw.uniform(0.5, 3)
    cells = draw.random((tokens, tokens)) < draw.uniform(0, 0.02)
    scores[cells] += draw.uniform(1, 3)
    if draw.random() < 0.3:  # columns of special tokens, too faint to make a map vertical
        scores[:, specials] += draw.uniform(0, 1.2)
    return scores
