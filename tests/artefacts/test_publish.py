import re

import pandas as pd
from matplotlib.figure import Figure

from lib.artefacts.publish import publish, published_table
from lib.artefacts.store import Place


def test_figures_and_tables_are_put_where_people_look(outputs):
    place = Place("test", "01_finetune", "SST-2", 42, "a" * 64, {"seed": 42})
    publish(place, "figure_02", Figure(figsize=(1, 1)))
    publish(
        place,
        "table_3",
        pd.DataFrame({"SST-2": ["0.9 ± 0.1"]}, index=pd.Index(["full model"], name="system")),
    )
    assert {path.name for path in (outputs / "test" / "figures").iterdir()} == {
        *("figure_02.png", "figure_02.svg", "figure_02.png.json", "figure_02.svg.json")
    }
    tables = Place("test", "tables")
    assert tables.load("table_3.csv") == "system,SST-2\nfull model,0.9 ± 0.1\n"
    assert tables.load("table_3.md").splitlines()[2] == "| full model | 0.9 ± 0.1 |"
    assert published_table("test", "table_3").to_dict("list") == {
        "system": ["full model"], "SST-2": ["0.9 ± 0.1"],
    }  # fmt: skip
    assert published_table("test", "table_4") is None
    assert published_table("test/beside", "table_3") is None
    record = tables.provenance("table_3.md")
    assert (
        record["made_by"] == place.name
        and record["fingerprint"] == place.fingerprint
        and record["parameters"] == {"seed": 42}
    )


def test_a_bar_in_a_name_does_not_end_its_cell(outputs):
    place = Place("test", "07_stability", fingerprint="a" * 64)
    index = pd.Index(["E|g|", "−E g"], name="P(a|b)")
    publish(place, "estimators", pd.DataFrame({"|ρ|": ["0.80", "|x|"], "n": [1, 2]}, index=index))
    header, rule, first, second = Place("test", "tables").load("estimators.md").splitlines()
    cells = [re.split(r" *(?<!\\)\| *", line)[1:-1] for line in (header, rule, first, second)]
    assert [len(line) for line in cells] == [3, 3, 3, 3]
    assert cells[0] == [r"P(a\|b)", r"\|ρ\|", "n"] and cells[2] == [r"E\|g\|", "0.80", "1"]
    assert Place("test", "tables").load("estimators.csv").startswith("P(a|b),|ρ|,n\nE|g|,0.80,1\n")
