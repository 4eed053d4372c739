"""Checkpoints by name, the packaged weights, and the probe of the hub against a local endpoint.

The hub's own client is not reached here: `snapshot_download` is replaced where a test needs its answer.
"""

import hashlib
import http.server
import json
import os
import shutil
import threading
from pathlib import Path

import huggingface_hub
import huggingface_hub.constants
import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError, RepositoryNotFoundError

from cola_sweep import hub
from cola_sweep.checkpoints import HUB_DEFAULT, load_encoder, load_tokenizer, resolve
from cola_sweep.errors import UserError
from cola_sweep.packaged import PACKAGED
from tests.test_packaged import packaged


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """No decision about the hub, and none that outlives the test."""
    for name in ("COLA_SWEEP_HUB", "HF_HUB_OFFLINE", "HF_ENDPOINT"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)


@pytest.fixture
def endpoint(monkeypatch):
    """A hub that answers HEAD with the status in `status`, and counts in `asked`; however late, it is heard."""
    monkeypatch.setattr(hub, "PROBE_SECONDS", 300.0)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            server.asked += 1
            self.send_response(server.status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked, server.status = 0, 200
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def tiny_bert(tmp_path):
    """A BERT of two layers and 32 dimensions, saved as a folder."""
    from transformers import BertConfig, BertForSequenceClassification

    config = BertConfig(
        vocab_size=20, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        dtype="bfloat16",
    )  # fmt: skip
    folder = tmp_path / "tiny"
    BertForSequenceClassification(config).to(torch.bfloat16).save_pretrained(folder)
    return folder


def test_the_probe_asks_once_and_leaves_its_answer_to_children(endpoint, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{endpoint.server_port}")
    assert hub.hub_answers()
    assert hub.hub_answers()
    assert (endpoint.asked, os.environ["COLA_SWEEP_HUB"]) == (1, "1")
    assert "HF_HUB_OFFLINE" not in os.environ


@pytest.mark.parametrize(("status", "answers"), [(401, True), (404, True), (407, False), (502, False)])
def test_a_status_of_the_hub_is_an_answer_and_a_gateways_is_not(endpoint, monkeypatch, status, answers):
    endpoint.status = status
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{endpoint.server_port}")
    assert hub.hub_answers() is answers


def test_a_hub_that_refuses_puts_its_client_offline(endpoint, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{endpoint.server_port}")
    endpoint.server_close()
    assert not hub.hub_answers()
    assert (os.environ["COLA_SWEEP_HUB"], os.environ["HF_HUB_OFFLINE"]) == ("0", "1")
    assert huggingface_hub.is_offline_mode()


@pytest.mark.parametrize("address", ["http://127.0.0.1:port", "nowhere", "http://[x"])
def test_an_endpoint_that_cannot_be_does_not_answer(monkeypatch, address):
    monkeypatch.setenv("HF_ENDPOINT", address)
    assert not hub.hub_answers()


@pytest.mark.parametrize(("variable", "value"), [("COLA_SWEEP_HUB", "0"), ("HF_HUB_OFFLINE", "1")])
def test_a_decision_in_the_environment_is_not_probed(endpoint, monkeypatch, variable, value):
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{endpoint.server_port}")
    monkeypatch.setenv(variable, value)
    assert not hub.hub_answers()
    assert endpoint.asked == 0


def test_a_decision_that_is_neither_is_refused(monkeypatch):
    monkeypatch.setenv("COLA_SWEEP_HUB", "maybe")
    with pytest.raises(UserError, match="COLA_SWEEP_HUB: got 'maybe'; must be 1 or 0"):
        hub.hub_answers()


@packaged
def test_auto_is_the_packaged_checkpoint_where_the_hub_does_not_answer(monkeypatch):
    monkeypatch.setenv("COLA_SWEEP_HUB", "0")
    checkpoint = resolve("auto[:2]")
    assert (checkpoint.name, checkpoint.source, checkpoint.layers) == ("auto[:2]", PACKAGED, 2)


@packaged
def test_the_packaged_encoder_with_fewer_layers_and_other_dropout():
    checkpoint = resolve(f"{PACKAGED}[:2]")
    tokens = load_tokenizer(checkpoint)(["The cat slept."], return_tensors="pt")
    encoder = load_encoder(checkpoint, dropout=0.0)
    assert encoder(**tokens).last_hidden_state.shape == (1, 6, 384)
    assert encoder.config.num_hidden_layers == 2
    assert {module.p for module in encoder.modules() if isinstance(module, torch.nn.Dropout)} == {0.0}
    assert not any("pooler" in name for name, _ in encoder.named_parameters())


def test_a_folder_is_loaded_in_float32_and_training_mode_without_pooler(tiny_bert):
    checkpoint = resolve(str(tiny_bert))
    encoder = load_encoder(checkpoint)
    assert checkpoint.source == f"folder:{tiny_bert}"
    assert checkpoint.weights_sha256 == hashlib.sha256((tiny_bert / "model.safetensors").read_bytes()).hexdigest()
    assert {parameter.dtype for parameter in encoder.parameters()} == {torch.float32}
    assert encoder.training
    assert encoder.config.hidden_dropout_prob == 0.1
    assert not any("pooler" in name for name, _ in encoder.named_parameters())


def test_an_architecture_without_pooler_argument_and_with_other_names_loads(tmp_path):
    from transformers import DistilBertConfig, DistilBertModel

    config = DistilBertConfig(vocab_size=20, dim=32, n_layers=3, n_heads=2, hidden_dim=32)
    DistilBertModel(config).save_pretrained(tmp_path)
    encoder = load_encoder(resolve(f"{tmp_path}[:1]"), dropout=0.3)
    assert len(encoder.transformer.layer) == 1
    assert (encoder.config.dropout, encoder.config.attention_dropout) == (0.3, 0.3)


def test_loading_prints_nothing(tiny_bert, capfd):
    load_encoder(resolve(f"{tiny_bert}[:1]"))
    assert capfd.readouterr() == ("", "")


def test_weights_that_do_not_fill_the_encoder_are_refused(tiny_bert):
    config = json.loads((tiny_bert / "config.json").read_text())
    (tiny_bert / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))
    with pytest.raises(UserError, match="the weights must fill the whole encoder"):
        load_encoder(resolve(str(tiny_bert)))


@pytest.mark.parametrize("damage", ["cut off", "pickle cut off", "no pickle", "shapes of another model"])
def test_damaged_weights_are_one_line(tiny_bert, damage):
    weights, pickled = tiny_bert / "model.safetensors", tiny_bert / "pytorch_model.bin"
    if damage == "cut off":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif damage == "shapes of another model":
        config = json.loads((tiny_bert / "config.json").read_text())
        (tiny_bert / "config.json").write_text(json.dumps(config | {"vocab_size": 21}))
    else:
        weights.unlink()
        torch.save({"a": torch.ones(1000)}, pickled)
        pickled.write_bytes(pickled.read_bytes()[:-100] if damage == "pickle cut off" else b"<html>")
    with pytest.raises(UserError, match="its encoder cannot be read") as raised:
        load_encoder(resolve(str(tiny_bert)))
    assert "\n" not in str(raised.value)


def test_a_configuration_that_is_not_json_is_one_line(tiny_bert):
    (tiny_bert / "config.json").write_text("{")
    with pytest.raises(UserError, match=r"its config\.json is not JSON"):
        resolve(f"{tiny_bert}[:1]")


def test_a_tokenizer_that_cannot_pad_is_refused(tiny_checkpoint, tmp_path):
    tokenizer = load_tokenizer(resolve(str(tiny_checkpoint)))
    tokenizer.pad_token = None
    shutil.copytree(tiny_checkpoint, tmp_path, dirs_exist_ok=True)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(UserError, match="no padding token"):
        load_tokenizer(resolve(str(tmp_path)))


def test_a_tokenizer_that_pads_on_the_left_pads_on_the_right_here(tiny_checkpoint, tmp_path):
    tokenizer = load_tokenizer(resolve(str(tiny_checkpoint)))
    tokenizer.padding_side = "left"
    shutil.copytree(tiny_checkpoint, tmp_path, dirs_exist_ok=True)
    tokenizer.save_pretrained(tmp_path)
    sentences = ["the cat sleeps .", "the dog"]
    masks = load_tokenizer(resolve(str(tmp_path)))(sentences, padding=True)["attention_mask"]
    assert masks == [[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0]]


def test_a_folder_without_a_tokenizer_is_named(tiny_bert):
    with pytest.raises(UserError, match="its tokenizer cannot be read"):
        load_tokenizer(resolve(str(tiny_bert)))


def test_several_weight_files_have_one_digest_that_each_of_them_moves(tiny_bert):
    shards = [tiny_bert / f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    (tiny_bert / "model.safetensors").rename(shards[0])
    shards[1].write_bytes(b"two")
    first = resolve(str(tiny_bert)).weights_sha256
    shards[1].write_bytes(b"three")
    assert len({first, resolve(str(tiny_bert)).weights_sha256}) == 2


@pytest.mark.parametrize(
    ("suffix", "rule"),
    [("[:0]", "k at least 1"), ("[:x]", "k at least 1"), ("[2]", "k at least 1"), ("[:3]", "has 2 layers")],
)
def test_layers_to_keep_are_checked(tiny_bert, suffix, rule):
    with pytest.raises(UserError, match=rule):
        resolve(f"{tiny_bert}{suffix}")


def test_a_folder_without_weights_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"must hold config\.json and"):
        resolve(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("./nowhere", "no such folder"),
        ("a/b/c", "no such folder"),
        ("~nobody-of-that-name/x", "no such folder"),
        ("./" + "x" * 300, "no such folder"),
    ],
)
def test_names_that_are_nothing(name, rule):
    with pytest.raises(UserError, match=rule):
        resolve(name)


def test_the_hub_gives_safetensors_and_else_the_older_format(tiny_bert, monkeypatch):
    (tiny_bert / "model.safetensors").rename(tiny_bert.parent / "kept")
    calls = []

    def snapshot_download(repository: str, *, local_files_only: bool, allow_patterns: list[str], **_: object) -> str:
        calls.append((repository, local_files_only))
        if "pytorch_model*.bin" in allow_patterns:
            (tiny_bert / "pytorch_model.bin").write_bytes(b"weights")
        return str(tiny_bert)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    monkeypatch.setenv("COLA_SWEEP_HUB", "1")
    checkpoint = resolve("auto[:1]")
    assert (checkpoint.source, checkpoint.layers) == (f"hub:{HUB_DEFAULT}", 1)
    assert checkpoint.weights_sha256 == hashlib.sha256(b"weights").hexdigest()
    assert calls == [(HUB_DEFAULT, False)] * 2


def test_a_cached_snapshot_is_used_where_the_hub_does_not_answer(tmp_path, monkeypatch):
    cache = tmp_path / "models--someone--tiny"
    snapshot = cache / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text('{"model_type": "bert"}')
    (snapshot / "model.safetensors").write_bytes(b"weights")
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text("a" * 40)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("COLA_SWEEP_HUB", "0")
    assert Path(resolve("someone/tiny").path) == snapshot
    with pytest.raises(UserError, match="the hub does not answer and its cache has no such model"):
        resolve("someone/else")


def test_a_model_that_the_hub_does_not_have_is_named(monkeypatch):
    def snapshot_download(*_: object, **__: object) -> str:
        import httpx

        raise RepositoryNotFoundError("404", response=httpx.Response(404, request=httpx.Request("GET", "http://hub")))

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    monkeypatch.setenv("COLA_SWEEP_HUB", "1")
    with pytest.raises(UserError, match="got 'someone/tyny'; the hub shows no such model"):
        resolve("someone/tyny")


class HttpLibraryError(Exception):
    """No OSError and no ValueError, as those of httpx are not."""


@pytest.mark.parametrize("kind", [LocalEntryNotFoundError, HttpLibraryError])
def test_a_hub_that_breaks_off_is_named(monkeypatch, kind):
    def snapshot_download(*_: object, **__: object) -> str:
        raise kind("peer closed connection\nafter 3 bytes")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    monkeypatch.setenv("COLA_SWEEP_HUB", "1")
    with pytest.raises(UserError, match=r"the hub did not give it \(peer closed connection\);"):
        resolve("someone/tiny")
