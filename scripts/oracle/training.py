"""PyTorch's figures for the training of a small Llama: log-probabilities, loss, every gradient, and a curve of 20 steps.

    node scripts/oracle/training.ts FOLDER
    python scripts/oracle/training.py FOLDER tests/fixtures/training/torch.json

Needs torch. Computes in float64, so that what the figures leave over is our rounding.
"""
import json
import math
import sys

import torch


def rotate(x, positions, config):
    """x: [tokens, heads, headLength]; neighbouring channels form a pair."""
    pairs = config["ropeLength"] // 2
    turns = config["ropeBase"] ** (-torch.arange(pairs, dtype=torch.float64) * 2 / config["ropeLength"])
    angle = positions[:, None].double() * turns[None]
    cos, sin = angle.cos()[:, None], angle.sin()[:, None]
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1).flatten(-2)


def norm(x, gain, epsilon):
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + epsilon) * gain


def logits_of(weights, config, batch, tied):
    heads, kv, length = config["headCount"], config["kvHeadCount"], config["headLength"]
    tokens = torch.tensor(batch["tokens"])
    positions = torch.tensor(batch["positions"])
    starts = torch.tensor(batch["starts"])
    rows = torch.arange(len(tokens))
    seen = (rows[None] <= rows[:, None]) & (rows[None] >= starts[:, None])
    x = weights["token_embd.weight"][tokens]
    for layer in range(config["layerCount"]):
        w = lambda name: weights[f"blk.{layer}.{name}.weight"]
        h = norm(x, w("attn_norm"), config["normEpsilon"]) @ w("attn_qkv").T
        q, k, v = h.split([heads * length, kv * length, kv * length], dim=-1)
        q = rotate(q.view(-1, heads, length), positions, config)
        k = rotate(k.view(-1, kv, length), positions, config).repeat_interleave(heads // kv, dim=1)
        v = v.view(-1, kv, length).repeat_interleave(heads // kv, dim=1)
        score = torch.einsum("thc,shc->hts", q, k) / math.sqrt(length)
        score = score.masked_fill(~seen[None], float("-inf")).softmax(-1)
        x = x + torch.einsum("hts,shc->thc", score, v).flatten(1) @ w("attn_output").T
        gate, up = (norm(x, w("ffn_norm"), config["normEpsilon"]) @ w("ffn_gate_up").T).chunk(2, dim=-1)
        x = x + (torch.nn.functional.silu(gate) * up) @ w("ffn_down").T
    x = norm(x, weights["output_norm.weight"], config["normEpsilon"])
    return x @ weights["token_embd.weight" if tied else "output.weight"].T


def loss_of(weights, config, batch, tied):
    logits = logits_of(weights, config, batch, tied)
    counts = torch.tensor(batch["weights"], dtype=torch.float64)
    losses = torch.nn.functional.cross_entropy(logits, torch.tensor(batch["targets"]), reduction="none")
    return (losses * counts).sum() / counts.sum(), logits


def figures(case):
    config, tied = case["config"], case["tied"]
    weights = {
        name: torch.tensor(w["values"], dtype=torch.float64)
        .view([w["rows"], w["columns"]] if w["rows"] > 1 else [-1])
        .requires_grad_()
        for name, w in case["weights"].items()
    }
    probe = torch.tensor(case["probe"], dtype=torch.float64)
    loss, logits = loss_of(weights, config, case["batches"][0], tied)
    loss.backward()
    gradients = {
        name: {"norm": w.grad.norm().item(), "probe": (w.grad.flatten() * probe[: w.numel()]).sum().item()}
        for name, w in weights.items()
    }
    targets = torch.tensor(case["batches"][0]["targets"])
    out = {
        "loss": loss.item(),
        "logProbabilities": logits.detach().log_softmax(-1)[torch.arange(len(targets)), targets].tolist(),
        "gradients": gradients,
    }
    decayed = [w for w in weights.values() if w.dim() > 1]
    gains = [w for w in weights.values() if w.dim() == 1]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": gains, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1.0, betas=(0.9, 0.95), eps=1e-5)
    curve, norms = [], []
    for step, rate in enumerate(case["rates"]):
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        loss, _ = loss_of(weights, config, case["batches"][step % len(case["batches"])], tied)
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(list(weights.values()), 1.0).item())
        optimizer.step()
        curve.append(loss.item())
    return {**out, "curve": curve, "norms": norms}


folder, target = sys.argv[1:]
result = {"torch": torch.__version__}
for name in ("tied", "untied"):
    with open(f"{folder}/{name}.json") as file:
        result[name] = figures(json.load(file))
with open(target, "w") as file:
    json.dump(result, file, indent=1)
    file.write("\n")
print(result["torch"], [result[name]["loss"] for name in ("tied", "untied")])
