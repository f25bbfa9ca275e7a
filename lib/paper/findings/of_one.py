"""Findings of one task and one seed: notebooks 01, 02, 03 and 05.

One seed has no interval over seeds. What stands in for it is the luck of the dev rows: half the
width of the interval that notebook 01 gets by drawing the dev rows again. A difference within it is
not called one.

interval: the ends of that interval of the full model's score
majority: the score of the majority class; for a correlation nan, which counts as 0
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from lib.paper import numbers
from lib.paper.findings import Finding, names_of

MODE_WORDS = {"joint": "both together", "heads": "heads alone", "mlps": "MLPs alone"}
NOT_LEARNED = (
    "nothing follows about pruning: the full model is not shown to beat the majority class"
)


class Kept(NamedTuple):
    """What one mode of s-pruning keeps: heads, MLPs, their share of the weights, and the score."""

    heads: int
    mlps: int
    size: float
    score: float


def whole_model(
    task: str,
    full: float,
    interval: Sequence[float],
    majority: float,
    untrained: float,
    probed: float,
) -> Finding:
    """Notebook 01: does the full model beat the majority class, and what it knew before?

    untrained: the score before fine-tuning
    probed: the score of a probe on the pre-trained encoder
    """
    low, high = interval
    run = (
        f"the full model scores {_of(full)} on {task}; when the dev rows are drawn again, 95 % of "
        f"the scores lie between {_of(low)} and {_of(high)}. The majority class scores "
        f"{_of(majority)}, the model before fine-tuning {_of(untrained)}, and a probe on the "
        f"pre-trained encoder {_of(probed)}."
    )
    published, published_majority = _paper("full model", task), _paper("majority baseline", task)
    paper = (
        f"BERT-base scores {_of(published)} on {task}, the majority class "
        f"{_of(published_majority)}."
    )
    base = _or_zero(majority)
    like_paper = published > published_majority
    if not np.isfinite([full, low, high]).all():
        return Finding(run, paper, "the full model has no score to measure subnetworks against.")
    if low > base:
        so = "the full model has learned more than the frequencies of the labels, "
        so += "as in the paper." if like_paper else "which the paper's has not."
    elif high < base:
        so = "the full model does worse than the majority class, "
        so += "unlike the paper's." if like_paper else "as in the paper."
    else:
        so = "these dev rows do not show that the full model beats the majority class; "
        so += "the subnetworks of this model will not show much either."
    if probed > high:
        so += " The probe scores above the interval: fine-tuning may have lost something."
    elif probed < low:
        so += " The probe scores below the interval: fine-tuning has added something."
    elif np.isfinite(probed):
        so += " The probe is within the interval: it is not shown that fine-tuning adds anything."
    return Finding(run, paper, so)


def magnitude(
    task: str,
    size: float,
    score: float,
    full: float,
    interval: Sequence[float],
    majority: float,
    random: Sequence[float],
    left: Mapping[str, np.ndarray],
) -> Finding:
    """Notebook 02: how many weights can go, and does it matter which?

    size: the share of the weights that the good subnetwork keeps, 0 to 1
    random: the scores of random masks of that size
    left: {"a head" or "an MLP": the share of its weights that each keeps}
    """
    run = f"{_percent(1 - size)} of the weights can go: the good subnetwork scores {_of(score)}, "
    ends = [f"{_from_to(part.min(), part.max())} of {each}" for each, part in left.items()]
    run += f"the full model {_of(full)}. {_of_random(random)} What is left is {names_of(ends)}."
    if size == 1:
        run = f"no weight can go: the first round falls under the floor (full model {_of(full)})."
    published = _paper("good (pruned)", task, "m-pruning")
    published_random = _paper("random (pruned)", task, "m-pruning")
    by_text, by_figure = _lost_on_qnli()
    paper = (
        f"the good subnetwork of BERT-base scores {_of(published)} on {task}, random ones of its "
        f"size {_of(published_random)}. On QNLI each head and MLP loses {by_text} of its weights, "
        f"says the text (§4.1); the heads in Figure 7a lose {by_figure}."
    )
    if not _learned(interval, majority):
        return Finding(run, paper, f"{NOT_LEARNED}.")
    if size == 1:
        return Finding(run, paper, "this model does not repeat what the paper finds.")
    so = _control(score, random, _luck(interval), published - published_random, "weights")
    return Finding(run, paper, f"{so}.")


def structured(
    task: str,
    kept: Mapping[str, Kept],
    units: tuple[int, int],
    full: float,
    interval: Sequence[float],
    majority: float,
    random: Sequence[float],
    unimportant: tuple[float, float],
) -> Finding:
    """Notebook 03: how many heads and MLPs can go, in which way the most, and does it matter which?

    kept: what each mode keeps; the first mode's size is that of the random subnetworks
    units: how many heads and MLPs there are
    unimportant: the share of heads with less than half of the highest importance, as the search
        normalises it and before that
    """
    first, good = next(iter(kept.items()))
    parts = []
    for mode, (heads, mlps, size, _) in kept.items():
        which = {"heads": f"{heads} of {units[0]} heads", "mlps": f"{mlps} of {units[1]} MLPs"}
        named = which.get(mode, f"{which['heads']} and {which['mlps']}")
        parts.append(f"pruning {MODE_WORDS[mode]} leaves {named} ({_percent(size)} of the weights)")
    run = (
        f"{names_of(parts)}. After pruning {MODE_WORDS[first]} the score is {_of(good.score)} "
        f"(full model {_of(full)}). {_of_random(random)}"
    )
    sizes = published_sizes(task)
    told = [f"{_percent(sizes[mode])} after pruning {MODE_WORDS[mode]}" for mode in kept]
    paper = "pruning both together is the most efficient way (§4.1). The masks that its authors "
    paper += f"published for {task} keep, of the weights, {names_of(told)}."
    if not _learned(interval, majority):
        return Finding(run, paper, f"{NOT_LEARNED}.")
    ways = []
    if len(kept) > 1:
        ours = _smallest({mode: each.size for mode, each in kept.items()})
        theirs = _smallest({mode: sizes[mode] for mode in kept})
        found = names_of([MODE_WORDS[mode] for mode in ours])
        ways = [f"the smallest subnetwork comes from pruning {found}, "]
        ways += ["as in their masks. " if ours == theirs else "unlike in their masks. "]
    gap = _paper("good (pruned)", task, "s-pruning") - _paper("random (pruned)", task, "s-pruning")
    control = _control(good.score, random, _luck(interval), gap, "units")
    so = "".join(ways) + (_capital(control) if ways else control)
    normalised, raw = unimportant
    if np.isfinite(normalised):
        so += (
            f". {_percent(normalised)} of the heads have less than half of the highest importance, "
        )
        so += f"as the search normalises it (before that, {_percent(raw)})"
    return Finding(run, paper, f"{so}.")


def retrained(
    task: str,
    scores: Mapping[tuple[str, str], float],
    full: float,
    interval: Sequence[float],
    majority: float,
    controls: Mapping[str, float],
) -> Finding:
    """Notebook 05: do good, random and bad subnetworks reach the full model's score again?

    scores: retrained, by group and kind, as in `tables.GROUPS` and `tables.KINDS`
    interval: of the full model's score over dev rows; a subnetwork comes back if it reaches it
    controls: the scores of what has none of the bad s-pruned subnetwork's pre-trained layers
    """
    groups, kinds = ("s-pruning", "m-pruning"), ("good", "random", "bad")
    ours = {group: [scores.get((group, kind), np.nan) for kind in kinds] for group in groups}
    theirs = {
        group: [_paper(f"{kind} (retrained)", task, group) for kind in kinds] for group in groups
    }
    run = (
        f"retrained good, random and bad subnetworks score {_told(ours)}. The full model scores "
        f"{_of(full)}, the majority class {_of(majority)}."
    )
    paper = f"they score {_told(theirs)}; the full model scores {_of(_paper('full model', task))}."
    if not _learned(interval, majority):
        return Finding(run, paper, f"{NOT_LEARNED.replace('pruning', 'retraining')}.")
    base, luck = _or_zero(majority), _luck(interval)
    good, random, bad = ours["s-pruning"]
    paper_base = _or_zero(_paper("majority baseline", task))
    paper_lead, paper_bad = _paper("full model", task) - paper_base, theirs["s-pruning"][2]
    if not np.isfinite([good, random, bad]).all():
        return Finding(run, paper, "a score is missing, so good, random and bad stay uncompared.")
    back = [
        f"{kind} by {group}"
        for group in groups
        for kind, score in zip(kinds, ours[group], strict=True)
        if score >= interval[0]
    ]
    verb = "comes" if len(back) == 1 else "come"
    sentences = [f"{names_of(back) if back else 'none'} {verb} back into the full model's interval"]
    if bad - base > luck:
        learns = "The bad s-pruned subnetwork learns again: it recovers "
        learns += f"{_percent((bad - base) / (full - base))} of the full model's lead over the "
        learns += "majority class"
        if min(paper_bad - paper_base, paper_lead) > numbers.SCORE_MARGIN:
            learns += f" (in the paper {_percent((paper_bad - paper_base) / paper_lead)})"
        else:
            learns += ", unlike in the paper"
        sentences.append(learns)
    else:
        sentences.append("The bad s-pruned subnetwork is not shown to learn anything")
    not_learned = [
        f"{kind} by {group} ({_of(score)})"
        for group in groups
        for kind, score in zip(kinds, ours[group], strict=True)
        if (kind, group) != ("bad", "s-pruning") and score - base <= luck
    ]
    if not_learned:
        verb = "is" if len(not_learned) == 1 else "are"
        sentences.append(f"{_capital(names_of(not_learned))} {verb} not shown to learn anything")
    if abs(good - random) <= luck:
        sentences.append("Good and random by s-pruning differ by no more than ±" + _of(luck))
    else:
        order = "good beats random" if good > random else "random beats good"
        sentences.append(f"By s-pruning {order} by {abs(good - random):.2f}")
    known = {name: score for name, score in controls.items() if np.isfinite(score)}
    close, behind = (
        [f"{name} ({x:.3f})" for name, x in known.items() if (bad - x <= luck) == near]
        for near in (True, False)
    )
    if close:  # three digits: a control just behind the yardstick and one just within it differ
        some = f"ahead of {names_of(behind)}, but not" if behind else "not"
        sentences.append(
            f"Bad ({bad:.3f}) is {some} clearly ahead of {names_of(close)}, so this run does not "
            "show that its pre-trained layers help"
        )
    elif known:
        best = max(known, key=lambda name: known[name])
        sentences.append(
            f"Bad ({bad:.3f}) is ahead of every control; the best is {best} ({known[best]:.3f})"
        )
    sentences.append(
        f"The yardstick here is ±{luck:.3f}, the luck of the dev rows of one model. The luck of "
        "drawing a mask and of training it is not in it, so one seed cannot settle this: see 06"
    )
    return Finding(run, paper, ". ".join(sentences) + ".")


def published_sizes(task: str) -> dict[str, float]:
    """Compute the share of the weights that the authors' masks of a task keep, for each mode.

    An MLP of BERT has twice the weights of its layer's heads.
    """

    def share(units: str, mode: str) -> float:
        return numbers.number(f"share of {units} left, {mode}", task, "s-pruning")[0]

    return {
        "joint": (share("heads", "joint") + 2 * share("MLPs", "joint")) / 3,
        "heads": (share("heads", "heads") + 2) / 3,
        "mlps": (1 + 2 * share("MLPs", "mlps")) / 3,
    }


def _control(
    good: float, random: Sequence[float], luck: float, published: float, units: str
) -> str:
    """Say what random subnetworks of the same size show; published: how far good is ahead there."""
    known = [score for score in random if np.isfinite(score)]
    if not known or not np.isfinite(good):
        return f"without a score of random {units} it is open whether it matters which {units} go"
    below, above = good - max(known), min(known) - good  # all random ones are so far from good
    if below > luck:
        so = f"it matters which {units} go: random draws of the same size ({len(known)}) score at "
        so += f"least {_floored(below)} lower"
        return so + (", as in the paper" if published > numbers.SCORE_MARGIN else "")
    if above > luck:
        so = f"the choice does harm: random {units} score at least {_floored(above)} higher"
        return so + (", unlike in the paper" if published > numbers.SCORE_MARGIN else "")
    return f"it is not shown that it matters which {units} go: random ones are within ±{luck:.2f}"


def _learned(interval: Sequence[float], majority: float) -> bool:
    return bool(interval[0] > _or_zero(majority))  # False for nan


def _luck(interval: Sequence[float]) -> float:
    return (interval[1] - interval[0]) / 2


def _smallest(sizes: Mapping[str, float]) -> list[str]:
    least = min(sizes.values())
    return [mode for mode in MODE_WORDS if mode in sizes and np.isclose(sizes[mode], least)]


def _lost_on_qnli() -> tuple[str, str]:
    """What a head or MLP loses by m-pruning, as the paper's text and as its Figure 7a has it."""
    item, group = "share of weights lost by a head or MLP", "m-pruning: share of weights left"
    ends = [_paper(f"{end} {item}", "QNLI", "m-pruning") for end in ("least", "largest")]
    heads = [each for each in numbers.items("QNLI", group) if each.startswith("head")]
    lost = sorted(1 - _paper(each, "QNLI", group) for each in heads)
    return _from_to(*ends), _from_to(lost[0], lost[-1])


def _paper(item: str, task: str, group: str | None = None) -> float:
    return numbers.number(item, task, group)[0]


def _of_random(random: Sequence[float]) -> str:
    if not len(random):
        return "Random subnetworks were not scored."
    return (
        f"Random subnetworks of the same size score {names_of([_of(score) for score in random])}."
    )


def _told(scores: Mapping[str, Sequence[float]]) -> str:
    parts = [f"{names_of(list(map(_of, three)))} by {group}" for group, three in scores.items()]
    return ", and ".join(parts)


def _of(score: float) -> str:
    return f"{score:.2f}" if np.isfinite(score) else "undefined"


def _floored(difference: float) -> str:
    """The largest number with two digits that is no larger, for what is "at least" so much."""
    return f"{np.floor(round(100 * difference, 6)) / 100:.2f}"  # 0.828 − 0.678 is 0.1499…


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _from_to(low: float, high: float) -> str:
    return f"{_percent(low)} to {_percent(high)}"


def _or_zero(score: float) -> float:
    return float(np.nan_to_num(score))


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
