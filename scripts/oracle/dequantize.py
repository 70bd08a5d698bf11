"""Writes tests/fixtures/dequantize.json: random packed blocks of each format and their values by gguf-py.

    pip install gguf numpy && python3 scripts/oracle/dequantize.py > tests/fixtures/dequantize.json
"""

import json

import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf import quants

FORMATS = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "BF16", "F16"]
# Byte offsets of the f16 fields in a block: random bytes there would give infinities.
HALVES = {
    "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q2_K": [80, 82], "Q3_K": [108],
    "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "IQ4_NL": [0],
}

random = np.random.default_rng(20230718)
vectors = {}
for name in FORMATS:
    kind = Type[name]
    block_length, block_bytes = quants.GGML_QUANT_SIZES[kind]
    blocks = max(1, 256 // block_length)
    data = random.integers(0, 256, (blocks, block_bytes), dtype=np.uint8)
    for at in HALVES.get(name, []):
        scales = (random.standard_normal(blocks) * 0.05).astype(np.float16)
        data[:, at : at + 2] = scales.view(np.uint8).reshape(blocks, 2)
    if name in ("F16", "BF16"):
        # Finite values of every size.
        exponents = random.integers(0, 30 if name == "F16" else 254, blocks)
        shift = 10 if name == "F16" else 7
        bits = (random.integers(0, 2, blocks) << 15) | (exponents << shift) | random.integers(0, 1 << shift, blocks)
        data = bits.astype(np.uint16).view(np.uint8).reshape(blocks, 2)
    if name == "F16":
        values = data.view(np.float16).astype(np.float32)
    else:
        values = quants.dequantize(data.reshape(1, -1), kind).astype(np.float32)
    vectors[name] = {"packed": data.tobytes().hex(), "values": values.astype("<f4").tobytes().hex()}
print(json.dumps(vectors, indent=1))
