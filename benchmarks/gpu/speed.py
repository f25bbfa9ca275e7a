"""Times on the device: fine-tuning, scoring, and a round of each search, against the authors'."""

import copy
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from benchmarks import authors, loops
from benchmarks.gpu import card
from benchmarks.gpu.card import FORWARD, GATES, TRAINING
from benchmarks.gpu.results import Line
from benchmarks.gpu.rows import made_up
from benchmarks.magnitude import ROUNDS, compare_rounds
from benchmarks.sides import TURNS, Claim, compare, in_turns, timed
from chain.probe import mean_seconds
from lib.model import recipes, train
from lib.model.batches import Encoded, evaluation_batches
from lib.model.device import evaluation_batch_size
from lib.model.recipes import Recipe
from lib.pruning import gates, importance
from lib.pruning.masks import Mask

BATCH = 32  # rows of a training step, in the paper and in its authors' code
MOST_STEPS = 64  # in one turn
FEW_STEPS = 4  # to find out how many there is time for
ONLY_COLD = "; from the first turn alone, in which kernels were still being chosen"
DEV_ROWS = 408  # MRPC's dev set
SAME = {"rtol": 1e-2, "atol": 1e-5}  # importance on both sides, as in benchmarks.search
OWN_RECIPE = ("CoLA", "QQP", "RTE")  # short, middling and long rows
# only to predict whether the time left is enough:
USUAL_SHARE = 0.3  # of the peak
WEIGHTS_A_SECOND = 1e8  # of a mask that one core makes and puts on
PADDED = f"every row padded to {authors.LENGTH}, float32"


@dataclass
class Bench:
    """A model of an encoder's shape on the device, and the operations per second of its peak.

    peaks: {precision of a recipe: operations per second}
    """

    encoder: str
    model: Any
    peaks: dict[str, float]

    @property
    def device(self) -> torch.device:
        """The device that is measured."""
        return self.model.device

    @property
    def best(self) -> str:
        """The precision that a profile trains in here."""
        return "mixed" if "mixed" in self.peaks else "float32"

    def seconds(self, operations: float, precision: str = "float32") -> float:
        """Predict the seconds of this many operations, at the share of the peak that is usual."""
        return operations / (self.peaks[precision] * USUAL_SHARE)

    def recipe(self, precision: str) -> Recipe:
        """One epoch in the authors' batches."""
        return recipes.recipe(self.encoder, epochs=1, batch_size=BATCH, precision=precision)


# --- fine-tuning ----------------------------------------------------------------------------------


def finetuning_needs(bench: Bench, task: str) -> float:
    """Predict the seconds of two steps on each side: one to see how long it takes, and a turn."""
    return 2 * sum(seconds_of_a_step(bench, task).values())


def seconds_of_a_step(bench: Bench, task: str) -> dict[str, float]:
    """Predict {side: seconds of a step on the task's average rows}."""
    width = int(made_up(task, 1000).lengths.mean())
    ours = card.operations(bench.encoder, [width], BATCH, TRAINING)
    theirs = card.padded_operations(bench.encoder, BATCH, TRAINING)
    mine = {precision: bench.seconds(ours, precision) for precision in bench.peaks}
    return {**mine, "authors": bench.seconds(theirs)}


def finetuning(bench: Bench, task: str, seconds: float) -> tuple[list[Line], dict]:
    """Fine-tune on the same batches by lib's loop, in each precision, and by the authors'.

    Returns a line for each precision; and {"finetuning": {task: {"tokens" of a step, its "seconds"
    by precision, the one of the recipe last}}}.
    """
    data, end = made_up(task, 2 * MOST_STEPS * BATCH), time.perf_counter() + seconds

    def batches_of(count: int) -> list[list[int]]:
        return loops.some_batches(data.lengths, BATCH, count)

    def sides_on(batches: list[list[int]]) -> dict[str, Callable[[], None]]:
        ours = {name: partial(_fit, train.fit, bench, data, batches, name) for name in bench.peaks}
        return {**ours, "authors": partial(_fit, authors.fit, bench, data, batches, "float32")}

    def each_once(count: int) -> None:
        for side in sides_on(batches_of(count)).values():
            side()

    count = steps_that_fit(each_once, seconds)
    batches, left = batches_of(count), end - time.perf_counter()
    sides = sides_on(batches)
    turns = [durations for durations, _ in in_turns([*sides.values()], TURNS + 1, left)]
    cold = "" if turns[1:] else ONLY_COLD
    taken = dict(zip(sides, np.transpose(turns[1:] or turns), strict=True))
    tokens = data.lengths[np.concatenate(batches)].sum() / len(batches)
    widths = [int(data.lengths[batch].max()) for batch in batches]
    shares = {
        name: card.operations(bench.encoder, widths, BATCH, TRAINING) / taken[name] / peak
        for name, peak in bench.peaks.items()
    }
    their_work = count * card.padded_operations(bench.encoder, BATCH, TRAINING)
    their_share = np.median(their_work / taken["authors"] / bench.peaks["float32"])
    rate = np.median(count * BATCH / taken["authors"])
    theirs = f"theirs: {rate:,.0f} and {their_share:.0%}"
    lines = []
    for name in bench.peaks:
        work = f"fine-tuning on {task}, {tokens / BATCH:.1f} tokens a row, {name} precision"
        claim = Claim.of(work, PADDED, list(taken["authors"] / taken[name]))
        rate, share = np.median(count * BATCH / taken[name]), np.median(shares[name])
        note = f"{rate:,.0f} examples/s, {share:.0%} of the peak ({theirs} of float32's){cold}"
        lines.append(Line(work, PADDED, claim.figure, note))
    steps = {name: statistics.median(taken[name]) / count for name in bench.peaks}
    return lines, {"finetuning": {task: {"tokens": float(tokens), "seconds": steps}}}


def steps_that_fit(run: Callable[[int], Any], seconds: float) -> int:
    """Find for how many steps there is time: once cold, then TURNS times warm.

    The first step on a batch of a new width takes up to ten times as long on a GPU, because kernels
    are chosen for its shapes then. So a turn on all batches has to go before those that count.
    run(steps): train on so many batches
    """
    tried, (cold, _) = 1, timed(lambda: run(1))
    warm, left = cold, seconds - cold
    if 2 * FEW_STEPS * cold < left:  # else the device is too slow to try more than one
        tried, (cold, _), (warm, _) = FEW_STEPS, *(timed(lambda: run(FEW_STEPS)) for _ in range(2))
        left -= cold + warm
    return int(np.clip(left / (cold + TURNS * warm) * tried, 1, MOST_STEPS))


def _fit(loop, bench: Bench, data: Encoded, batches: list, precision: str) -> None:
    loops.fit(loop, bench.model, data, bench.recipe(precision), batches)


# --- scoring, and the steps of a profile's own recipe ---------------------------------------------


def scoring_needs(bench: Bench) -> float:
    """Predict the seconds of scoring once on each side."""
    ours = card.operations(bench.encoder, _widths(bench), 1, FORWARD)
    return bench.seconds(ours + card.padded_operations(bench.encoder, DEV_ROWS, FORWARD))


def _widths(bench: Bench) -> list[int]:
    """The padded width of each dev row in lib's batches."""
    lengths, size = made_up("MRPC", DEV_ROWS).lengths, evaluation_batch_size(bench.device)
    batches = evaluation_batches(lengths, size)
    return [width for batch in batches for width in [int(lengths[batch].max())] * len(batch)]


def scoring(bench: Bench, seconds: float) -> tuple[list[Line], dict]:
    """Score rows as long as MRPC's; returns {"scored_token": seconds of a token}, too."""
    dev = made_up("MRPC", DEV_ROWS)
    claim = compare(
        f"scoring {DEV_ROWS} rows as long as MRPC's",
        PADDED,
        lambda: train.predict(bench.model, dev),
        lambda: authors.predict(bench.model, dev),
        same=lambda ours, theirs: np.allclose(ours, theirs, atol=1e-3),
        seconds=seconds / 2,
    )
    scored = mean_seconds(lambda: train.predict(bench.model, dev), seconds / 4)
    note = f"{DEV_ROWS / scored:,.0f} examples/s"
    line = Line(claim.work, claim.against, claim.figure, note)
    return [line], {"scored_token": scored / float(dev.lengths.sum())}


def own_recipe_needs(bench: Bench) -> float:
    """Predict the seconds of three steps at each length, and of scoring."""
    steps = 3 * sum(seconds_of_a_step(bench, task)[bench.best] for task in OWN_RECIPE)
    return steps + bench.seconds(card.operations(bench.encoder, _widths(bench), 1, FORWARD))


def own_recipe(bench: Bench, seconds: float) -> tuple[list[Line], dict]:
    """Time steps of a profile's own recipe, and scoring, of lib alone.

    Returns a line; and {"steps": [[tokens, seconds], …], "scored_token": seconds}
    """
    recipe = recipes.recipe(bench.encoder, epochs=1)
    share, steps = seconds / (len(OWN_RECIPE) + 1), []
    for task in OWN_RECIPE:
        data = made_up(task, MOST_STEPS * recipe.batch_size)

        def fit(count: int, data: Encoded = data) -> list[list[int]]:
            batches = loops.some_batches(data.lengths, recipe.batch_size, count)
            loops.fit(train.fit, bench.model, data, recipe, batches)
            _finish()
            return batches

        count = steps_that_fit(fit, share)
        batches = fit(count)
        taken = mean_seconds(lambda fit=fit, count=count: fit(count), share / 2) / count
        steps.append([float(data.lengths[np.concatenate(batches)].sum() / count), taken])
    dev = made_up("MRPC", DEV_ROWS)
    scored = mean_seconds(lambda: train.predict(bench.model, dev), share / 2)
    rates = ", ".join(
        f"{task} {recipe.batch_size / taken:,.0f}"
        for task, (_, taken) in zip(OWN_RECIPE, steps, strict=True)
    )
    line = Line(f"fine-tuning {bench.encoder}", "", rates, "examples/s, by its own recipe")
    values = {"steps": steps, "scored_token": scored / float(dev.lengths.sum())}
    return [line], values


def _finish() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


# --- rounds of the searches -----------------------------------------------------------------------


def s_round_needs(bench: Bench) -> float:
    """Predict the seconds of one round on each side."""
    ours = card.operations(bench.encoder, _widths(bench), 1, GATES)
    return bench.seconds(ours + card.padded_operations(bench.encoder, DEV_ROWS, TRAINING))


def s_round(bench: Bench, share: float, seconds: float) -> tuple[list[Line], dict]:
    """Measure importance on dev rows as long as MRPC's, and score them, in one pass on each side.

    share: of heads and MLPs, how many are still there; lib removes the others, the authors mask
        them
    """
    model, dev = bench.model, made_up("MRPC", DEV_ROWS)
    mask = _some_units(Mask.full(*gates.shape(model)), share)
    copied = copy.deepcopy(model)  # asking for attentions leaves hooks in a model
    copied.encoder.set_attn_implementation("eager")  # only this one returns attentions

    def ours() -> np.ndarray:
        gradients = importance.measure(model, dev, mask).gradients
        assert gradients is not None
        return importance.batch(gradients, authors.BATCH)

    def theirs() -> np.ndarray:
        _, units = authors.one_pass(copied, dev, mask)
        return np.concatenate([units.heads.ravel(), units.mlps])

    claim = compare(
        f"a round of s-pruning, {mask} left",
        "padded, gradients of all weights, attentions kept",
        ours,
        theirs,
        same=lambda ours, theirs: np.allclose(ours, theirs, **SAME),
        seconds=seconds,
    )
    note = f"{DEV_ROWS} rows as long as MRPC's"
    return [Line(claim.work, claim.against, claim.figure, note)], {}


def _some_units(full: Mask, share: float) -> Mask:
    """Draw a mask of this share of heads and of MLPs."""
    draw = np.random.default_rng(0)
    return Mask(
        *(
            draw.permuted(np.arange(units.size) < share * units.size).reshape(units.shape)
            for units in (full.heads, full.mlps)
        )
    )


def m_round_needs(bench: Bench) -> float:
    """Predict the seconds of lib's rounds and one of theirs; masks are made by the CPU."""
    ours = ROUNDS * card.operations(bench.encoder, _widths(bench), 1, FORWARD)
    theirs = card.padded_operations(bench.encoder, DEV_ROWS, FORWARD)
    weights = sum(p.numel() for p in bench.model.parameters())
    return bench.seconds(ours + theirs) + (ROUNDS + 1) * weights / WEIGHTS_A_SECOND


def m_round(bench: Bench, scored: bool, seconds: float) -> tuple[list[Line], dict]:
    """Make a mask of single weights and put it on the model; score the dev rows, or do not."""
    model, pruned = copy.deepcopy(bench.model), copy.deepcopy(bench.model)
    dev = made_up("MRPC", DEV_ROWS)
    work = f"a round of m-pruning and scoring {DEV_ROWS} rows" if scored else "its mask alone"
    sides = {
        "score": lambda: train.predict(model, dev),
        "score_as_authors": lambda: authors.predict(pruned, dev),
    }
    claim = compare_rounds(work, model, pruned, **(sides if scored else {}), seconds=seconds)
    against = claim.against + (", padded" if scored else "")
    return [Line(claim.work, against, claim.figure, "masks by lib on the CPU")], {}
