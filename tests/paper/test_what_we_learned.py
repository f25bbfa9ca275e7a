"""The box of notebook 10 says what the numbers carry, and not the same whatever they are."""

from lib.paper.findings import of_the_paper
from lib.paper.statements import AGREES, CANNOT_TELL, DISAGREES

CLAIMS = [f"claim {number}" for number in range(10)]
MASKS = [("claim 0", AGREES), ("claim 1", DISAGREES)]


def box(verdicts, bad):
    good = {task: share + 0.1 for task, share in bad.items()}
    return of_the_paper.what_we_learned(list(zip(CLAIMS, verdicts, strict=True)), MASKS, bad, good)


def test_three_runs_get_three_answers():
    agrees = box([AGREES] * 9 + [CANNOT_TELL], {"RTE": 0.95, "MNLI": 0.92, "QNLI": 1.0})
    differs = box([DISAGREES] * 9 + [AGREES], {"RTE": 0.1, "MNLI": 0.2, "QNLI": 0.3})
    nothing = box([CANNOT_TELL] * 10, {})
    assert (
        "9 of 10 claims taken from the paper hold, 0 do not, and 1 cannot be decided" in agrees.run
    )
    assert "nearly all tickets win here" in agrees.so
    assert (
        "Those that do not: claim 0; claim 1; claim 2; and 6 more. (Where the paper gives no"
        in differs.run
    )
    assert "by the means over seeds, 10 % (RTE), 20 % (MNLI), 30 % (QNLI) of what" in differs.run
    four = box([AGREES] * 10, {"RTE": 0.1, "MNLI": 0.2, "QNLI": 0.3, "QQP": 0.4})
    assert "25 % (median of 4 tasks; 10 to 40 %) of what" in four.run
    assert "1 of 10 claims taken from the paper holds, 9 do not" in differs.run
    assert "not all tickets win here" in differs.so and "bad ones do on 0 of 3" in differs.so
    assert "less than the paper's on 3 of 3" in differs.so and "stay open" not in differs.so
    assert "ones do on 3 of 3 tasks, the paper's own on 1 of 3" in agrees.so
    assert "less than the paper's on 0 of 3" in agrees.so
    assert "Good ones do on 3 of 3 tasks." in agrees.so and "do on 0 of 3 tasks." in differs.so
    assert "bad ones learn 60 % (RTE), 92 % (MNLI), 63 % (QNLI) of" in differs.paper
    assert "no subnetwork has been trained again" in nothing.so and "Most claims" in nothing.so
    assert len({agrees.so, differs.so, nothing.so}) == 3


def test_one_task_is_called_one_task():
    two = box([AGREES] * 10, {"RTE": 0.6, "MNLI": 0.95})
    assert "60 % (RTE), 95 % (MNLI)" in two.run
    found = box([AGREES + " on this task"] * 10, {"RTE": 0.6})
    assert "10 of 10 claims" in found.run and "on the one task that is there" in found.run
    assert "not all tickets win on this task" in found.so and "on 0 of 1 task" in found.so
    assert "bear out 1, contradict 1 and leave 0 open" in found.paper
