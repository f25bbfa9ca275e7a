"""What notebook 10 has found, over the forty claims of the paper that are judged."""

from collections.abc import Mapping, Sequence

import numpy as np

from lib.paper import tables
from lib.paper.findings import Finding, count_of
from lib.paper.statements import AGREES, CANNOT_TELL, DISAGREES, ON_THIS_TASK

FEW = 3  # tasks that a box lists one by one
WINS = 0.9  # the share of the gap from which on a ticket is called winning here


def what_we_learned(
    run: Sequence[tuple[str, str]],
    masks: Sequence[tuple[str, str]],
    bad: Mapping[str, float],
    good: Mapping[str, float],
) -> Finding:
    """Answer the title's question from all lines of the notebook.

    run: (claim, verdict of the run); masks: the same by the authors' masks, where these can judge
    bad, good: the share of the gap between majority class and full model that retrained s-pruned
        subnetworks of this kind recover, by task; empty if none was trained
    """
    verdicts = [verdict for _, verdict in run]
    agree, differ = (sum(v.startswith(side) for v in verdicts) for side in (AGREES, DISAGREES))
    where = ", on the one task that is there" if _one_task(verdicts) else ""
    text = (
        f"{agree} of {len(run)} claims taken from the paper hold{'s' * (agree == 1)}, {differ} "
        f"do{'es' * (differ == 1)} not{where}, and {verdicts.count(CANNOT_TELL)} cannot be decided."
    )
    against = [claim for claim, verdict in run if verdict.startswith(DISAGREES)]
    if against:
        text += f" Those that do not: {'; '.join(against[:3])}"
        text += f"; and {len(against) - 3} more." if len(against) > 3 else "."
        text += " (Where the paper gives no number, the bound is ours.)"
    if bad:
        text += (
            " Trained again, bad s-pruned subnetworks learn, by the means over seeds, "
            f"{_listed(bad)} of what the full model learns."
        )
    theirs = tables.papers_shares([*bad])["bad"]
    return Finding(text, _paper(masks, theirs), _so(bad, good, theirs, agree + differ, len(run)))


def _one_task(verdicts: Sequence[str]) -> bool:
    return any(verdict.endswith(ON_THIS_TASK) for verdict in verdicts)


def _listed(bad: Mapping[str, float]) -> str:
    if len(bad) <= FEW:
        return ", ".join(f"{100 * share:z.0f} % ({task})" for task, share in bad.items())
    shares = 100 * np.array([*bad.values()])
    span = f"{shares.min():z.0f} to {shares.max():z.0f} %"
    return f"{np.median(shares):z.0f} % (median of {len(shares)} tasks; {span})"


def _paper(masks: Sequence[tuple[str, str]], theirs: Mapping[str, float]) -> str:
    verdicts = [verdict for _, verdict in masks]
    agree, differ = (sum(v.startswith(side) for v in verdicts) for side in (AGREES, DISAGREES))
    learn = f": bad ones learn {_listed(theirs)} of what the full model learns" if theirs else ""
    return (
        "with structured pruning all tickets win, and even the worst subnetworks remain highly "
        f"trainable{learn}. Of the {len(masks)} claims that its authors' masks can judge, they "
        f"bear out {agree}, contradict {differ} and leave {len(masks) - agree - differ} open."
    )


def _so(
    bad: Mapping[str, float],
    good: Mapping[str, float],
    theirs: Mapping[str, float],
    decided: int,
    claims: int,
) -> str:
    if not bad:
        answer = "whether all tickets win stays open: no subnetwork has been trained again."
    else:
        where = "on this task" if len(bad) == 1 else "here"
        won, good_won, theirs_won = (
            sum(share >= WINS for share in shares.values()) for shares in (bad, good, theirs)
        )
        answer = (
            f"{'nearly' if won == len(bad) else 'not'} all tickets win {where}, if to win is to "
            f"learn {100 * WINS:.0f} % of what the full model learns: by the means, bad ones do on "
            f"{won} of {count_of(len(bad), 'task')}"
        )
        if theirs:
            less = sum(bad[task] < share for task, share in theirs.items())
            answer += f", the paper's own on {theirs_won} of {len(theirs)}; ours learn less than "
            answer += f"the paper's on {less} of {len(theirs)}"
        answer += f". Good ones do on {good_won} of {count_of(len(good), 'task')}. Where bad ones "
        answer += "are shown to be behind good ones, notebook 06 says."
    rest = claims - decided
    if rest > claims / 2:
        answer += (
            " Most claims stay open. A line that cannot tell has a guess of what would decide "
            "it, if mean and spread stayed as they are."
        )
    return answer
