"""Attention maps drawn by a program, to train a classifier on where nobody has labelled real ones (paper §5.2, App. F).

A map is what attention is: a softmax over scores, of which the pattern is one part and noise another. What varies from
map to map varies in real ones, too: length, how sharp and how straight a diagonal is and how many there are, which
columns are looked at, by how many of the rows, where the first sentence ends.
"""

from dataclasses import dataclass

import numpy as np

CLASSES = ("diagonal", "vertical", "vertical+diagonal", "block", "heterogeneous")


@dataclass(frozen=True)
class Variety:
    """How much the drawn maps vary: ranges that each map's values are drawn from, uniformly.

    tokens: of a map. noise: standard deviation of the scores' noise. strength: of a pattern's scores over the rest.
    width: of a diagonal, in tokens. diagonals, columns: at most how many. gaps: the share of rows that do not follow
    the pattern.
    """

    tokens: tuple[int, int] = (8, 64)
    noise: tuple[float, float] = (0.3, 1.3)
    strength: tuple[float, float] = (2.0, 6.0)
    width: tuple[float, float] = (0.5, 3.0)
    diagonals: int = 3
    columns: int = 8
    gaps: tuple[float, float] = (0.0, 0.5)


TRAINING = Variety()
# for the test: longer and shorter than most, noisier, fainter, more diagonals and columns than were ever trained on
HELD_OUT = Variety((10, 72), (0.6, 1.6), (1.8, 5.0), (0.4, 4.0), 4, 12, (0.2, 0.6))


def batch(
    size: int, kind: str, draw: np.random.Generator, variety: Variety = TRAINING
) -> tuple[np.ndarray, np.ndarray]:
    """(maps float32 [size, tokens, tokens], classes int64 [size]): one length for all, classes in equal parts.

    kind: "raw", or "normed", in which each column is weighted by a length ‖f(x)‖: small for special tokens.
    """
    tokens = int(draw.integers(*variety.tokens, endpoint=True))
    classes = draw.permutation(np.arange(size) % len(CLASSES))
    return np.stack([_map(CLASSES[c], kind, tokens, draw, variety) for c in classes]), classes


def _map(
    name: str, kind: str, tokens: int, draw: np.random.Generator, variety: Variety
) -> np.ndarray:
    separator = int(draw.uniform(0.2, 0.8) * tokens)
    specials = [0, tokens - 1] + [separator] * int(draw.random() < 0.6)
    scores = draw.normal(0, draw.uniform(*variety.noise), (tokens, tokens))
    scores += draw.normal(
        0, draw.uniform(0, 0.6), tokens
    )  # some tokens are looked at a little more than others
    strength = lambda: draw.uniform(*variety.strength)  # noqa: E731
    if name in ("diagonal", "vertical+diagonal"):
        scores = _with_diagonals(scores, strength() + 0.5, draw, variety)
    if name in ("vertical", "vertical+diagonal"):
        candidates = (
            specials if kind == "raw" else []
        )  # weighted by length, special tokens all but vanish
        scores = _with_columns(
            scores, candidates, strength() - 0.5 * (name != "vertical"), draw, variety
        )
    inside = (np.arange(tokens) <= separator)[:, None] == (np.arange(tokens) <= separator)
    if name == "block":
        scores += 0.7 * strength() * inside
        if draw.random() < 0.5:
            scores[:, specials] += strength() * draw.uniform(0.3, 0.8)
    elif draw.random() < 0.3:  # most heads look a little more at their own sentence
        scores += draw.uniform(0.2, 0.6) * inside
    if name == "heterogeneous":
        scores = _with_anything(scores, specials, draw)
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
    """One to several diagonals; where there are several, the further ones go with sentences that repeat each other."""
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
        scores = scores + strength * (0.7 if number else 1) * bump * (
            followed | (draw.random() < 0.3)
        )
    return scores


def _with_columns(
    scores, specials, strength: float, draw: np.random.Generator, variety: Variety
) -> np.ndarray:
    """Columns that most rows look at: special tokens, or any others (punctuation, content words)."""
    tokens, scores = len(scores), scores.copy()
    some = [c for c in specials if draw.random() < 0.7] if draw.random() < 0.75 else []
    if not some or draw.random() < 0.3:
        some = [*some, *draw.integers(0, tokens, size=int(draw.integers(1, variety.columns + 1)))]
    gaps, each = draw.uniform(*variety.gaps) * 0.7, strength * draw.uniform(0.6, 1.1, len(some))
    for column, how_much in zip(some, each, strict=True):
        looking = draw.random(tokens) >= gaps
        scores[:, column] += how_much * looking + draw.normal(0, 0.3, tokens)
    return scores


def _with_anything(scores: np.ndarray, specials, draw: np.random.Generator) -> np.ndarray:
    """What is none of the others: noise, tokens that look at tokens of their kind, clumps, single cells."""
    tokens, scores = len(scores), scores.copy()
    if draw.random() < 0.5:  # two hidden kinds of tokens: a grid of cells
        rank = int(draw.integers(1, 5))
        scores += (
            draw.uniform(0.5, 1.5)
            * draw.normal(size=(tokens, rank))
            @ draw.normal(size=(rank, tokens))
            / rank**0.5
        )
    if (
        draw.random() < 0.4
    ):  # parts of the sentence that are looked at more, by everybody or by some
        wave = np.convolve(draw.normal(size=2 * tokens), np.ones(max(2, tokens // 5)), "same")[
            : 2 * tokens
        ]
        scores += draw.uniform(0.1, 0.6) * np.where(
            draw.random((tokens, 1)) < 0.8, wave[:tokens], wave[tokens:]
        )
    for _ in range(int(draw.integers(0, 6))):  # clumps, of any place and size
        (i, j), (a, b) = draw.integers(0, tokens, 2), draw.integers(1, max(2, tokens // 4), 2)
        scores[i : i + a, j : j + b] += draw.uniform(0.5, 3)
    cells = draw.random((tokens, tokens)) < draw.uniform(0, 0.02)
    scores[cells] += draw.uniform(1, 3)
    if draw.random() < 0.3:  # faint columns or a faint diagonal do not make a pattern
        scores[:, specials] += draw.uniform(0, 1.2)
    return scores
