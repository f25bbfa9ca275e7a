import pytest

from lib.data.glue import TASKS
from lib.paper import numbers


def test_the_papers_numbers_are_complete_and_have_a_source():
    table = numbers.numbers()
    assert not table[["source", "item", "task", "value"]].isna().any().any()
    table_3 = table[table["source"] == "Table 3"]
    assert len(table_3) == 20 * 9 and set(table_3["task"]) == set(TASKS)
    assert numbers.number("full model", "WNLI") == (0.34, 0.06, "Table 3")
    assert numbers.number("good (pruned)", "CoLA", "m-pruning")[:2] == (0.52, 0.01)
    with pytest.raises(KeyError, match="4 numbers|3 numbers|2 numbers"):
        numbers.number("good (pruned)", "CoLA")


def test_verdicts_of_comparisons():
    rows = [
        numbers.Ours("a", [0.93, 0.92, 0.94], "SST-2", "full model"),
        numbers.Ours("b", [0.80, 0.80], "SST-2", "full model"),
    ]
    table = numbers.compare(rows, "bert-base-uncased")
    assert table["verdict"].tolist() == ["agrees", "differs"]
    assert table["difference"].tolist() == [0.0, -0.13]
    assert table["tolerance"].tolist() == [0.02, 0.02]
    other = numbers.compare(rows, "minilm-l6")
    assert other["verdict"].tolist() == ["agrees", "differs (other encoder)"]
    nan = numbers.Ours("c", [float("nan")], "STS-B", "majority baseline")
    assert numbers.compare([nan], "bert-base-uncased")["verdict"].tolist() == ["undefined"]
