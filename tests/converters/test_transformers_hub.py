"""A model by its name on a hub that this test runs itself, asked by Hugging Face's own library."""

import json
import threading
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path

import pytest

from coreml_updatable.converting.contract import SourceRequest
from coreml_updatable.converting.finished import finish
from coreml_updatable.converting.registry import find_converter, load_source_converter
from coreml_updatable.errors import SourceError
from tests.converters.test_transformers import LABELS, made

pytestmark = pytest.mark.vision
NAME, COMMIT = "owner/eyes", "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder that the hub hands out as ``NAME``; another name is not there."""
    folder = tmp_path / "published"
    folder.mkdir()

    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            files = {f"/{NAME}/resolve/{COMMIT}/{file.name}": file for file in folder.iterdir()}
            if path.startswith(f"/api/models/{NAME}/tree/"):
                sizes = {file.name: file.stat().st_size for file in folder.iterdir()}
                entries = [{"type": "file", "path": name, "size": size, "oid": name} for name, size in sizes.items()]
                self.answer(json.dumps(entries).encode())
            elif path.startswith(f"/api/models/{NAME}/"):
                siblings = [{"rfilename": file.name} for file in folder.iterdir()]
                self.answer(json.dumps({"id": NAME, "sha": COMMIT, "siblings": siblings}).encode())
            elif path in files:
                self.answer(files[path].read_bytes())
            else:
                self.send_response(404)
                self.send_header("X-Error-Code", "RepoNotFound")
                self.send_header("Content-Length", "0")
                self.end_headers()

        def answer(self, content: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.send_header("ETag", f'"{sha256(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(import_module("huggingface_hub.constants"), "HF_HUB_CACHE", str(tmp_path / "cache"))
    yield folder
    server.shutdown()
    server.server_close()


def test_a_model_by_its_name_and_nothing_but_settings_and_weights_of_it(hub: Path, tmp_path: Path) -> None:
    made("vit").save_pretrained(hub)
    settings = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    (hub / "preprocessor_config.json").write_text(json.dumps(settings))
    (hub / "modeling.py").write_text("raise SystemExit")
    (hub / "pytorch_model.bin").write_bytes(b"a pickle")
    function = load_source_converter(find_converter("transformers", asked_by="--converter"))
    result = finish(function, SourceRequest(f"hub:{NAME}"))
    assert result.agreement.difference < 1e-4
    assert list(result.model.neuralNetworkClassifier.stringClassLabels.vector) == list(LABELS)
    fetched = {path.name for path in (tmp_path / "cache").rglob("snapshots/*/*")}
    assert fetched == {"config.json", "preprocessor_config.json", "model.safetensors"}


@pytest.mark.usefixtures("hub")
def test_a_name_that_is_not_there() -> None:
    function = load_source_converter(find_converter("transformers", asked_by="--converter"))
    with pytest.raises(SourceError, match=r"^hub:owner/ears: could not be downloaded from http://127\S+ \(.+\); down"):
        finish(function, SourceRequest("hub:owner/ears"))
