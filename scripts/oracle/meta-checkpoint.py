"""Writes the fixture tests/fixtures/meta-tiny with real PyTorch: a two-layer Llama in two model-parallel shards, with
the cuts of Llama 2 (embedding by width). Every value tells its tensor and place, so a test can compute it again:

    value(t, r, c) = ((t * 31 + r * 7 + c) mod 256) / 16       t = index of the tensor by sorted name

Run: python3 scripts/oracle/meta-checkpoint.py   (needs torch; any version since 1.6)
"""

import json
from collections import OrderedDict
from pathlib import Path

import torch

folder = Path(__file__).parents[2] / "tests/fixtures/meta-tiny"
dim, hidden, heads, kv_heads, layers, vocabulary, shards = 8, 12, 4, 2, 2, 10, 2
kv_dim = dim // heads * kv_heads

shapes = {"tok_embeddings.weight": (vocabulary, dim), "norm.weight": (dim,), "output.weight": (vocabulary, dim)}
for layer in range(layers):
    shapes |= {
        f"layers.{layer}.attention.wq.weight": (dim, dim),
        f"layers.{layer}.attention.wk.weight": (kv_dim, dim),
        f"layers.{layer}.attention.wv.weight": (kv_dim, dim),
        f"layers.{layer}.attention.wo.weight": (dim, dim),
        f"layers.{layer}.feed_forward.w1.weight": (hidden, dim),
        f"layers.{layer}.feed_forward.w2.weight": (dim, hidden),
        f"layers.{layer}.feed_forward.w3.weight": (hidden, dim),
        f"layers.{layer}.attention_norm.weight": (dim,),
        f"layers.{layer}.ffn_norm.weight": (dim,),
    }


def values(index, shape):
    rows = torch.arange(shape[0] if len(shape) == 2 else 1).unsqueeze(1)
    columns = torch.arange(shape[-1]).unsqueeze(0)
    return (((index * 31 + rows * 7 + columns) % 256) / 16).reshape(shape)


def cut_axis(name):
    if name.endswith(("wo.weight", "w2.weight", "tok_embeddings.weight")):
        return 1
    return None if name.endswith("norm.weight") else 0


folder.mkdir(parents=True, exist_ok=True)
for shard in range(shards):
    state = OrderedDict()
    for index, name in enumerate(sorted(shapes)):
        whole = values(index, shapes[name])
        axis = cut_axis(name)
        piece = whole if axis is None else whole.chunk(shards, axis)[shard].contiguous()
        state[name] = piece.to(torch.bfloat16 if "ffn_norm" in name else torch.float16)
    # A parameter, a view into a larger storage, and the version notes of a real state_dict.
    state["norm.weight"] = torch.nn.Parameter(state["norm.weight"].float())
    state["output.weight"] = torch.cat([torch.zeros(1, dim).half(), state["output.weight"]])[1:]
    state["rope.freqs"] = torch.ones(dim // heads // 2, dtype=torch.bfloat16)
    state._metadata = OrderedDict({"": {"version": 1}})
    torch.save(state, folder / f"consolidated.{shard:02}.pth")

params = {"dim": dim, "multiple_of": 4, "ffn_dim_multiplier": 0.6, "n_heads": heads, "n_kv_heads": kv_heads}
params |= {"n_layers": layers, "norm_eps": 1e-05, "vocab_size": -1}
(folder / "params.json").write_text(json.dumps(params))
