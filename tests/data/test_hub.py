"""The hub, played by a server on loopback: revisions, caches, damage, and what is refused."""

import json
import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

from lib.artefacts import store
from lib.artefacts.fingerprint import ROOT
from lib.artefacts.store import Place
from lib.data import sources
from lib.data.sources import hub as hub_source

NAME = "own/tiny"


def locate(tasks=("SST-2",), revision=None):
    return sources.locate(NAME, tasks, ["hub"], revision)


def weights(encoder):
    return encoder.state_dict()["encoder.layer.0.attention.self.query.weight"]


def change_weights(hub, change):
    path = hub.folder / "model.safetensors"
    save_file(change(load_file(path)), path, {"format": "pt"})


def test_the_origin_names_the_revision_and_a_new_one_is_found_by_locate_only(hub):
    first = locate()
    assert first == {
        "encoder": f"hub own/tiny@{'1' * 40}",
        "SST-2": f"hub nyu-mll/glue@{'2' * 40} sst2",
    }
    encoder, _, origin = sources.encoder(NAME, ["hub"])
    assert origin == first["encoder"] and hub_source.revision_in(origin) == "1" * 40
    change_weights(hub, lambda tensors: {name: tensor + 1 for name, tensor in tensors.items()})
    hub.revisions[NAME] = "3" * 40
    assert sources.encoder(NAME, ["hub"])[2] == origin, "a notebook keeps what the run has found"
    assert locate()["encoder"] == f"hub own/tiny@{'3' * 40}"
    newer, _, origin = sources.encoder(NAME, ["hub"])
    assert origin.endswith("3" * 40) and torch.allclose(weights(newer), weights(encoder) + 1)
    older, _, origin = sources.encoder(NAME, ["hub"], "1" * 40)
    assert origin.endswith("1" * 40) and torch.equal(weights(older), weights(encoder))


def test_a_pinned_revision_comes_from_the_hub_or_not_at_all(hub):
    assert locate(revision="1" * 40)["encoder"].endswith("1" * 40)
    with pytest.raises(LookupError, match="own/tiny has no revision v9"):
        locate(revision="v9")
    with pytest.raises(LookupError, match="only the hub has revisions, and v9 is asked for"):
        sources.encoder("tiny", ["tiny"], "v9")


def test_a_warm_cache_needs_no_request_and_no_hub(hub, monkeypatch):
    before = locate(["SST-2", "STS-B"])
    hub.asked.clear()
    sources.encoder(NAME, ["hub"])
    assert len(sources.rows("SST-2", ["hub"]).train) == 600
    assert hub.asked == []
    hub.down = True
    try:
        assert locate(["SST-2", "STS-B"]) == before, "a hub that is down is not needed"
    finally:
        hub.down = False
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    hub_source._unreachable.cache_clear()
    assert locate(["SST-2", "STS-B"]) == before, "nor is one that cannot be reached"


def test_a_warm_start_asks_the_hub_once_for_each_thing(hub):
    locate(["SST-2", "STS-B"])
    hub.asked.clear()
    hub_source._unreachable.cache_clear()
    locate(["SST-2", "STS-B"])
    assert len(hub.asked) <= 4, hub.asked  # one for each thing, and whether the hub answers at all


@pytest.mark.parametrize("value", ["1", "true", "YES", "on"])
def test_offline_may_be_spelt_in_each_way_that_the_client_knows(hub, value, monkeypatch):
    from huggingface_hub import constants

    before = locate()
    hub.asked.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", constants._is_true(value))
    hub_source._unreachable.cache_clear()
    assert locate() == before and hub.asked == []
    with pytest.raises(
        LookupError, match="hub: HF_HUB_OFFLINE is set, and other/one is not in the"
    ):
        sources.locate("other/one", [], ["hub"])


def test_rows_have_the_columns_and_types_of_every_other_source(hub):
    for task in ("SST-2", "STS-B"):
        found, expected = sources.rows(task, ["hub"]), sources.rows(task, ["tiny"])
        assert (found.train, found.dev) == (expected.train, expected.dev)
        assert type(found.dev[0]["label"]) is type(expected.dev[0]["label"])
    assert not [one for one in hub.asked if "/test-" in one], "the test rows are never needed"


def test_only_dev_rows_are_read_where_only_they_are_asked_for(hub, monkeypatch):
    import pyarrow.parquet as pq

    whole, read, real = sources.rows("SST-2", ["hub"]), [], pq.read_table
    monkeypatch.setattr(
        pq,
        "read_table",
        lambda path, columns: read.append(path.name) or real(path, columns=columns),
    )
    found = sources.rows("SST-2", ["hub"], train=False)
    assert (found.train, found.dev, found.origin) == ([], whole.dev, whole.origin)
    assert read == ["validation-00000-of-00001.parquet"]


def test_a_file_that_is_damaged_on_the_way_is_not_left_in_the_cache(hub):
    content = (hub.folder / "model.safetensors").read_bytes()
    hub.damage["model.safetensors"] = content[:-4] + b"flip"  # same size, and still readable
    with pytest.raises(
        ValueError, match="model.safetensors of own/tiny was damaged twice on its way"
    ):
        locate()
    assert not list(hub.cache.rglob("model.safetensors"))
    hub.damage.clear()
    locate()
    encoder, *_ = sources.encoder(NAME, ["hub"])
    assert torch.equal(weights(encoder), weights(sources.encoder("tiny", ["tiny"])[0]))


def test_a_file_that_was_damaged_in_the_cache_is_downloaded_again(hub):
    locate()
    (blob,) = {path.resolve() for path in hub.cache.rglob("model.safetensors")}
    whole = blob.read_bytes()
    blob.write_bytes(whole[:-4] + b"flip")
    locate()
    (path,) = hub.cache.rglob("model.safetensors")
    assert path.read_bytes() == whole
    path.resolve().write_bytes(whole[:100])
    with pytest.raises(
        ValueError, match=r"model.safetensors is damaged .* and was deleted; run again"
    ):
        sources.encoder(NAME, ["hub"])
    assert not list(hub.cache.rglob("model.safetensors"))


def narrower(tensors):
    return {name: t[:, :8].clone() if t.ndim == 2 else t for name, t in tensors.items()}


def renamed(tensors):
    return {f"other.{name}": tensor for name, tensor in tensors.items()}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (narrower, "are of another model than its config.json: .* has the shape"),
        (renamed, r"there is no embeddings.LayerNorm.bias \(but other.embeddings.LayerNorm.bias\)"),
    ],
)
def test_weights_of_another_model_are_refused(hub, change, message):
    change_weights(hub, change)
    for name, order in ((NAME, "hub"), (str(hub.folder), "folder")):
        with pytest.raises(ValueError, match=message) as raised:
            sources.encoder(name, [order])
        assert "\n" not in str(raised.value)


def test_an_encoder_without_a_tokenizer_is_refused(hub):
    for path in hub.folder.glob("tokenizer*"):
        path.unlink()
    for name, order in ((NAME, "hub"), (str(hub.folder), "folder")):
        with pytest.raises(
            ValueError, match=r"has no tokenizer \(tokenizer.json, or a vocabulary\)"
        ):
            sources.encoder(name, [order])


def test_a_tokenizer_of_another_model_is_refused(hub):
    path = hub.folder / "tokenizer.json"
    path.write_text(path.read_text().replace('"the": 37', '"the": 370'))
    with pytest.raises(ValueError, match="is of another model: .* embeddings for 40"):
        sources.encoder(str(hub.folder), ["folder"])


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff\xfe", b"{}", b'{"model_type": 3}'])
def test_a_damaged_config_is_one_sentence_with_its_path(hub, content):
    (hub.folder / "config.json").write_bytes(content)
    with pytest.raises(ValueError, match="own--tiny/config.json ") as raised:
        sources.encoder(str(hub.folder), ["folder"])
    assert "\n" not in str(raised.value) and "save_pretrained" in str(raised.value)


def test_code_that_comes_with_an_encoder_is_never_run_nor_asked_about(hub, monkeypatch):
    monkeypatch.setattr("builtins.input", lambda _: pytest.fail("a question was asked"))
    path = hub.folder / "config.json"
    config = json.loads(path.read_text())
    own = {"auto_map": {"AutoConfig": "own.C", "AutoModel": "own.M"}}
    (hub.folder / "own.py").write_text("raise SystemExit('this code was run')")
    path.write_text(json.dumps({**config, **own, "model_type": "own"}))
    message = (
        "names the architecture 'own', .* only the code that comes with it, which is never run"
    )
    for name, order in ((NAME, "hub"), (str(hub.folder), "folder")):
        with pytest.raises(ValueError, match=message):
            sources.encoder(name, [order])
    path.write_text(json.dumps({**config, **own}))
    assert sources.encoder(str(hub.folder), ["folder"])[0].config.model_type == "bert"


def test_a_gated_repository_says_what_to_do(hub):
    hub.gated.add(NAME)
    message = (
        f"own/tiny is restricted: ask for it at {hub.address}/own/tiny, then log in with `hf auth"
    )
    with pytest.raises(LookupError, match=message):
        locate()
    with pytest.raises(
        LookupError, match="there is no own/none, or it is private and you must log in"
    ):
        sources.locate("own/none", [], ["hub"])


def test_loading_says_nothing_unless_something_is_wrong(hub, capfd):
    def without_pooler(tensors):
        kept = {name: tensor for name, tensor in tensors.items() if "pooler" not in name}
        return kept | {"cls.predictions.bias": torch.zeros(3)}

    change_weights(hub, without_pooler)
    locate()
    first, second = (sources.encoder(NAME, ["hub"])[0].state_dict() for _ in range(2))
    assert capfd.readouterr() == ("", "")
    assert torch.equal(first["pooler.dense.weight"], second["pooler.dense.weight"])


def test_the_origin_of_a_folder_has_a_checksum_of_weights_and_tokenizer(hub):
    origins = [sources.locate(str(hub.folder), [], ["folder"])["encoder"]]
    assert origins[0].startswith("folder own--tiny sha256:")
    change_weights(hub, lambda tensors: {name: tensor + 1 for name, tensor in tensors.items()})
    origins.append(sources.locate(str(hub.folder), [], ["folder"])["encoder"])
    path = hub.folder / "tokenizer.json"
    path.write_text(path.read_text().replace("lizard", "wizard"))
    origins.append(sources.locate(str(hub.folder), [], ["folder"])["encoder"])
    (hub.folder / "README.md").write_text("not part of it")
    assert sources.locate(str(hub.folder), [], ["folder"])["encoder"] == origins[-1]
    assert len(set(origins)) == 3


def run_all_py(*options, status, **environment):
    """run_all.py in a process of its own, which reads HF_ENDPOINT when it starts: its output."""
    command = [sys.executable, str(ROOT / "run_all.py"), *options]
    process = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | environment, timeout=600
    )
    output = process.stdout + process.stderr
    assert process.returncode == status, output
    assert "Traceback" not in output
    return output


@pytest.fixture()
def profile(hub, tmp_path, outputs):
    """The options for a run of one notebook with the encoder and the rows of the hub."""
    path = tmp_path / "own.yaml"
    path.write_text(
        "encoder: own/tiny\nlook_in: [hub]\ntasks: [SST-2]\nseeds: [7]\ntrain_rows: 64\n"
        "dev_rows: 32\nstsb_score: pearson\nfinetuning: {max_length: 32, epochs: 1}\n"
    )
    return ["--profile", str(path)]


def test_what_was_fetched_runs_without_the_hub(hub, profile, outputs):
    output = run_all_py(*profile, "--fetch", status=0)
    assert (
        f"encoder  hub own/tiny@{'1' * 40}" in output and "it can run without a network" in output
    )
    assert not outputs.exists(), "nothing has run"
    hub.down = True
    try:
        output = run_all_py(*profile, "--only", "01", "--jobs", "1", status=0)
    finally:
        hub.down = False
    assert "1 done" in output
    hub.asked.clear()
    output = run_all_py(*profile, "--only", "01", status=0, HF_HUB_OFFLINE="true")
    assert "All 1 jobs are done already" in output and not hub.asked
    place = Place("own", "01_finetune", "SST-2", 7)
    assert place.load("result.json")["encoder"] == f"hub own/tiny@{'1' * 40}"
    change_weights(hub, lambda tensors: {name: tensor + 1 for name, tensor in tensors.items()})
    hub.revisions[NAME] = "3" * 40
    assert "1 of 1 jobs to do" in run_all_py(*profile, "--only", "01", "--jobs", "1", status=0)
    assert place.load("result.json")["encoder"] == f"hub own/tiny@{'3' * 40}"
    executed = store.executed_notebook("own", "01_finetune", "SST-2", 7).read_text()
    assert "LOAD REPORT" not in executed and "\\u001b" not in executed


def test_an_encoder_that_notebooks_cannot_use_is_refused_before_anything_runs(
    hub, profile, outputs
):
    too_long = run_all_py(*profile, "--set", "finetuning.max_length=128", "--fetch", status=2)
    assert "it has positions for 64 tokens, not 128; set finetuning: {max_length: 64}" in too_long
    path = hub.folder / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "model_type": "roformer", "embedding_size": 32}))
    folder = ("--set", f"encoder={hub.folder}", "--set", "look_in=[folder, tiny]")
    output = run_all_py(*profile, *folder, "--only", "01", status=2)
    assert "cannot be used: " in output and not list(outputs.rglob("*.ipynb"))
