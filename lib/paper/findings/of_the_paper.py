"""What notebook 10 has found, over all claims of the paper."""

from collections.abc import Mapping, Sequence

import numpy as np

from lib.paper.findings import Finding
from lib.paper.statements import AGREES, CANNOT_TELL, DISAGREES, ON_THIS_TASK

FEW = 3  # tasks that a box lists one by one
WINS, MOST = 0.9, 0.5  # shares of the gap: where a ticket is called winning, where it learns most


def what_we_learned(
    run: Sequence[tuple[str, str]], masks: Sequence[tuple[str, str]], bad: Mapping[str, float]
) -> Finding:
    """Answer the title's question from all lines of the notebook.

    run: (claim, verdict of the run); masks: the same by the authors' masks, where these can judge
    bad: the share of the gap between majority class and full model that retrained bad s-pruned
        subnetworks recover, by task; empty if none was trained
    """
    verdicts = [verdict for _, verdict in run]
    agree, differ = (sum(v.startswith(side) for v in verdicts) for side in (AGREES, DISAGREES))
    where = ", on the one task that is there" if _one_task(verdicts) else ""
    text = (
        f"{agree} of the paper's {len(run)} claims hold{'s' * (agree == 1)}, {differ} "
        f"do{'es' * (differ == 1)} not{where}, and {verdicts.count(CANNOT_TELL)} cannot be decided."
    )
    against = [claim for claim, verdict in run if verdict.startswith(DISAGREES)]
    if against:
        text += f" The run disagrees where the paper says: {'; '.join(against[:3])}"
        text += f"; and {len(against) - 3} more." if len(against) > 3 else "."
    if bad:
        text += (
            " Trained again, bad s-pruned subnetworks learn, by the means over seeds, "
            f"{_listed(bad)} of what the full model learns."
        )
    return Finding(text, _paper(masks), _so(bad, agree + differ, len(run)))


def _one_task(verdicts: Sequence[str]) -> bool:
    return any(verdict.endswith(ON_THIS_TASK) for verdict in verdicts)


def _listed(bad: Mapping[str, float]) -> str:
    if len(bad) <= FEW:
        return ", ".join(f"{100 * share:.0f} % ({task})" for task, share in bad.items())
    shares = 100 * np.array([*bad.values()])
    span = f"{shares.min():.0f} to {shares.max():.0f} %"
    return f"{np.median(shares):.0f} % (median of {len(shares)} tasks; {span})"


def _paper(masks: Sequence[tuple[str, str]]) -> str:
    verdicts = [verdict for _, verdict in masks]
    agree, differ = (sum(v.startswith(side) for v in verdicts) for side in (AGREES, DISAGREES))
    return (
        "with structured pruning all tickets win: even the worst subnetworks remain highly "
        f"trainable. Of the {len(masks)} claims that its authors' masks can judge, they bear out "
        f"{agree}, contradict {differ} and leave {len(masks) - agree - differ} open."
    )


def _so(bad: Mapping[str, float], decided: int, claims: int) -> str:
    if not bad:
        answer = "whether all tickets win stays open: no subnetwork has been trained again."
    else:
        where = "on this task" if len(bad) == 1 else "here"
        worst = min(bad, key=lambda task: bad[task])
        least = f"on {worst} a bad one learns {100 * bad[worst]:.0f} %"
        if bad[worst] >= WINS:
            answer = f"nearly all tickets win {where}: bad ones come close to the full model."
        elif bad[worst] >= MOST:
            answer = f"not all tickets win {where}, but bad ones still learn most: {least}."
        else:
            answer = f"not all tickets win {where}: {least}."
    rest = claims - decided
    if rest > claims / 2:
        answer += (
            " Most claims stay open. Each line below has a guess of what would decide it, if mean "
            "and spread stayed as they are."
        )
    return answer
