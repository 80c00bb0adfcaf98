"""A bundle small enough for tests: one graph that doubles a number and one presenter."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
from onnx import TensorProto, helper

from engines.bundle import FORMAT_VERSION, sha256_of
from flap import coefficients


def write_doubler(path: Path, shape: tuple[int | str, ...] = (1, 3), kind: int = TensorProto.FLOAT) -> None:
    """An ONNX graph `doubled = number + number`."""
    graph = helper.make_graph(
        [helper.make_node("Add", ["number", "number"], ["doubled"])],
        "doubler",
        [helper.make_tensor_value_info("number", kind, shape)],
        [helper.make_tensor_value_info("doubled", kind, shape)],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)


def write_bundle(folder: Path, **changes: Any) -> Path:
    """A valid bundle in `folder`, its manifest with `changes` at top level."""
    folder.mkdir(parents=True, exist_ok=True)
    write_doubler(folder / "doubler.onnx")
    cv2.imwrite(str(folder / "ada.png"), np.zeros((256, 256, 3), np.uint8))
    tensor = {"shape": [1, 3], "dtype": "float32"}
    manifest = {
        "format_version": FORMAT_VERSION,
        "name": "toy",
        "config": {"frame_rate_hz": 25},
        "graphs": {
            "doubler": {
                "file": "doubler.onnx",
                "sha256": sha256_of(folder / "doubler.onnx"),
                "inputs": {"number": tensor},
                "outputs": {"doubled": tensor},
            }
        },
        "presenters": [
            {
                "id": "ada",
                "name": "Ada",
                "file": "ada.png",
                "sha256": sha256_of(folder / "ada.png"),
                "coefficients": coefficients.neutral().tolist(),
            }
        ],
        "metrics": {},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest | changes))
    return folder
