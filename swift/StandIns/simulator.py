"""Answer for Core ML on Linux: a line server on loopback that runs and updates models with coreml_updatable.

The stand-in for CoreML (Sources/CoreML) sends one question a connection, a JSON object in a line with
"do": describe, picture, predict or update. The answer is one such line; an update sends its events
before, and reads one answer to each.
"""

import argparse
import base64
import json
import socketserver
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

import coreml_updatable as cu
from coreml_updatable.data import fitting

CROPS = {0: fitting.center_crop, 1: fitting.scale_to_fit, 2: fitting.stretch}  # VNImageCropAndScaleOption
ORIENTATION = 0x0112  # EXIF
MAX_LINE = 1 << 28  # bytes


class Device:
    """Core ML as one device would answer, under ``assumptions``; files are looked up below ``root``."""

    def __init__(self, assumptions: cu.Assumptions, root: Path, checkout: Path) -> None:
        self.assumptions = assumptions
        self.root = root
        self.checkout = checkout

    def path(self, path: str) -> Path:
        """Where this process finds the file that the client calls ``path``."""
        if self.root != Path("/") and path.startswith("/checkout/"):
            return self.checkout / path.removeprefix("/checkout/")
        return self.root / path.lstrip("/")

    def model(self, path: str) -> cu.RunnableModel:
        file = self.path(path)
        return _load(file, file.stat().st_mtime_ns, self.assumptions)

    def describe(self, question: dict[str, Any]) -> dict[str, Any]:
        model = self.model(question["model"])
        message, description = model.message, model.message.description
        return {
            "inputs": [_feature(feature) for feature in description.input],
            "outputs": [_feature(feature) for feature in description.output],
            "training": [_feature(feature) for feature in description.trainingInput],
            "updatable": message.isUpdatable,
            "label": description.predictedFeatureName,
            "probabilities": description.predictedProbabilitiesName,
            "labels": [str(label) for label in model.labels or ()],
            "metadata": dict(description.metadata.userDefined),
            "parameters": [_parameter(name, value) for name, value in model.parameters.items()],
        }

    def picture(self, question: dict[str, Any]) -> dict[str, Any]:
        if "path" in question:
            with Image.open(self.path(question["path"])) as file:
                image = file.convert("RGB")
                orientation = question.get("orientation") or file.getexif().get(ORIENTATION, 1)
        else:
            size = question["width"], question["height"]
            image = Image.frombytes("RGB", size, base64.b64decode(question["rgb"]))
            orientation = question.get("orientation", 1)
        image.getexif()[ORIENTATION] = orientation
        image = ImageOps.exif_transpose(image)
        if question["gray"]:
            image = image.convert("L")
        image = CROPS[question["crop"]](image, question["wide"], question["high"])
        pixels = np.asarray(image)
        if not question["gray"]:
            opaque = np.full((*pixels.shape[:2], 1), 255, np.uint8)
            pixels = np.concatenate([pixels[..., ::-1], opaque], axis=-1)
        return {"pixels": base64.b64encode(pixels.tobytes()).decode()}

    def predict(self, question: dict[str, Any]) -> dict[str, Any]:
        answer = self.model(question["model"]).predict(_row(question["row"]))
        return {"row": {name: _value(value) for name, value in answer.items()}}

    def update(self, question: dict[str, Any], converse: Any) -> dict[str, Any]:
        def on_event(context: Any) -> None:
            reply = converse({"event": context.event, **_state(context)})
            if reply.get("cancel"):
                context.task.cancel()
            elif reply.get("parameters"):
                context.task.resume(reply["parameters"])

        model = self.model(question["model"])
        task = cu.UpdateTask(
            model,
            [_row(row) for row in question["rows"]],
            parameters=question["parameters"],
            assumptions=self.assumptions,
            on_event=on_event,
        )
        context = task.resume()
        if task.state == "completed":
            context.write(self.path(question["to"]))
        return {"state": task.state, **_state(context)}


class Handler(socketserver.StreamRequestHandler):
    """One question."""

    def handle(self) -> None:
        try:
            question = json.loads(self.rfile.readline(MAX_LINE))
            self.say(self.answer(question))
        except (BrokenPipeError, ConnectionResetError):
            pass  # whoever asked is gone: a test that kills its process
        except Exception as error:  # noqa: BLE001 - Core ML throws there, and an app has to live with it
            self.say({"error": f"{type(error).__name__}: {error}"})

    def answer(self, question: dict[str, Any]) -> dict[str, Any]:
        device: Device = self.server.device  # type: ignore[attr-defined]  # the server of this program has a device
        match question["do"]:
            case "describe":
                return device.describe(question)
            case "picture":
                return device.picture(question)
            case "predict":
                return device.predict(question)
            case "update":
                return device.update(question, self.converse)
        raise ValueError(f"unknown question {question['do']!r}")

    def converse(self, event: dict[str, Any]) -> dict[str, Any]:
        self.say(event)
        line = self.rfile.readline(MAX_LINE)
        if not line:
            raise BrokenPipeError
        reply: dict[str, Any] = json.loads(line)
        return reply

    def say(self, answer: dict[str, Any]) -> None:
        self.wfile.write(json.dumps(answer).encode() + b"\n")


class Server(socketserver.ThreadingTCPServer):
    """On a free port of the loopback interface."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, device: Device) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.device = device


@lru_cache(maxsize=16)
def _load(path: Path, _modified: int, assumptions: cu.Assumptions) -> cu.RunnableModel:
    return cu.load(path, assumptions=assumptions)


def _feature(feature: Any) -> dict[str, Any]:
    kind = feature.type.WhichOneof("Type")
    described: dict[str, Any] = {"name": feature.name}
    if kind == "imageType":
        image = feature.type.imageType
        described |= {"image": [image.height, image.width], "gray": image.colorSpace == image.GRAYSCALE}
    elif kind == "multiArrayType":
        described["array"] = list(feature.type.multiArrayType.shape)
    elif kind == "dictionaryType":
        described["dictionary"] = True
    elif kind == "int64Type":
        described["number"] = True
    return described


def _parameter(name: str, parameter: Any) -> dict[str, Any]:
    described = {"name": name, "default": parameter.default}
    if parameter.range is not None:
        described |= {"min": parameter.range[0], "max": parameter.range[1]}
    if parameter.allowed is not None:
        allowed = sorted(parameter.allowed)
        described |= {"allowed": allowed, "min": allowed[0], "max": allowed[-1]}
    return described


def _row(row: dict[str, Any]) -> dict[str, Any]:
    return {name: _given(value) for name, value in row.items()}


def _given(value: Any) -> Any:
    match value:
        case {"pixels": str(pixels), "wide": wide, "high": high, "gray": True}:
            return np.frombuffer(base64.b64decode(pixels), np.uint8).reshape(high, wide)
        case {"pixels": str(pixels), "wide": wide, "high": high}:
            return np.frombuffer(base64.b64decode(pixels), np.uint8).reshape(high, wide, 4)[..., 2::-1].copy()
        case {"values": values, "shape": shape}:
            return np.array(values, np.float32).reshape(shape)
    return value


def _value(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return {"shape": list(value.shape), "values": value.astype(float).ravel().tolist()}
    if isinstance(value, dict):
        return {str(label): float(share) for label, share in value.items()}
    return value.item() if isinstance(value, np.generic) else value


def _state(context: Any) -> dict[str, Any]:
    return {"metrics": dict(context.metrics), "parameters": dict(context.parameters)}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=Path("/"), help="what the client calls /")
    parser.add_argument(
        "--checkout", type=Path, default=Path.cwd(), help="what the client calls /checkout below another root"
    )
    parser.add_argument(
        "--assume", action="append", default=[], metavar="NAME=CHOICE", help="an assumption of this device"
    )
    options = parser.parse_args(arguments)
    assumptions = cu.Assumptions(**dict(choice.split("=", 1) for choice in options.assume))
    with Server(Device(assumptions, options.root, options.checkout)) as server:
        print(server.server_address[1], flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
