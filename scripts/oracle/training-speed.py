"""Tokens per second of PyTorch (eager, f32, CPU) on the training of a Llama: the rival of bench/training.ts.

    python scripts/oracle/training-speed.py '{"width": 288, ...}'

Reads the shape from its argument, waits for a line on standard input, does a step, prints its seconds; until the input
ends. Fused AdamW and scaled_dot_product_attention, as a careful user of PyTorch would write it.
"""
import json
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

shape = json.loads(sys.argv[1])
torch.manual_seed(0)
torch.set_num_threads(shape["threads"])
D, H, K, L = shape["width"], shape["heads"], shape["kvHeads"], shape["layers"]
hidden, V, B, T = shape["feedForward"], shape["vocabulary"], shape["windows"], shape["length"]
size = D // H


class Norm(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(D))

    def forward(self, x):
        return F.rms_norm(x, (D,), self.weight, 1e-5)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = Norm(), Norm()
        self.qkv = nn.Linear(D, (H + 2 * K) * size, bias=False)
        self.output = nn.Linear(H * size, D, bias=False)
        self.gate_up = nn.Linear(D, 2 * hidden, bias=False)
        self.down = nn.Linear(hidden, D, bias=False)

    def forward(self, x, cos, sin):
        qkv = self.qkv(self.norm1(x))
        q, k, v = qkv.split([H * size, K * size, K * size], dim=-1)
        q, k, v = (part.view(B, T, -1, size).transpose(1, 2) for part in (q, k, v))
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=H != K)
        x = x + self.output(mixed.transpose(1, 2).reshape(B, T, -1))
        gate, up = self.gate_up(self.norm2(x)).chunk(2, dim=-1)
        return x + self.down(F.silu(gate) * up)


def rotate(x, cos, sin):
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1).flatten(-2)


class Llama(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(V, D)
        nn.init.normal_(self.embedding.weight, std=0.02)
        self.blocks = nn.ModuleList(Block() for _ in range(L))
        self.norm = Norm()

    def forward(self, tokens, targets, cos, sin):
        x = self.embedding(tokens)
        for block in self.blocks:
            x = block(x, cos, sin)
        logits = self.norm(x) @ self.embedding.weight.T
        return F.cross_entropy(logits.view(-1, V), targets.reshape(-1))


model = Llama()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), eps=1e-5, fused=True)
angle = torch.arange(T)[:, None] * 10000.0 ** (-torch.arange(size // 2) * 2 / size)
cos, sin = angle.cos(), angle.sin()
print(json.dumps({"torch": torch.__version__, "parameters": sum(p.numel() for p in model.parameters())}), flush=True)
for _ in sys.stdin:
    tokens = torch.randint(V, (B, T + 1))
    start = time.perf_counter()
    optimizer.zero_grad(set_to_none=True)
    loss = model(tokens[:, :-1], tokens[:, 1:], cos, sin)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    print(json.dumps({"seconds": time.perf_counter() - start, "loss": loss.item()}), flush=True)
