"""Seconds of a step of tuning LoRA adapters with PyTorch and PEFT on the CPU: the rival of bench/lora.ts.

    python scripts/oracle/lora-speed.py '{"width": 576, ...}'

Reads the shape from its argument, waits for a line on standard input, does a step, prints its seconds; until the input
ends. f32, AdamW over the adapters, random weights: speed depends on shape.
"""
import json
import sys
import time

import peft
import torch
import transformers

shape = json.loads(sys.argv[1])
torch.manual_seed(0)
torch.set_num_threads(shape["threads"])
config = transformers.LlamaConfig(
    vocab_size=shape["vocabulary"],
    hidden_size=shape["width"],
    intermediate_size=shape["feedForward"],
    num_hidden_layers=shape["layers"],
    num_attention_heads=shape["heads"],
    num_key_value_heads=shape["kvHeads"],
    max_position_embeddings=2048,
    tie_word_embeddings=True,
    use_cache=False,
)
base = transformers.LlamaForCausalLM(config)
targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
settings = peft.LoraConfig(r=16, lora_alpha=32, lora_dropout=0.05, target_modules=targets, task_type="CAUSAL_LM")
model = peft.get_peft_model(base, settings)
model.train()
trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
optimizer = torch.optim.AdamW(trained, lr=1e-4, fused=True)
facts = {
    "torch": torch.__version__,
    "transformers": transformers.__version__,
    "peft": peft.__version__,
    "parameters": sum(parameter.numel() for parameter in trained),
}
print(json.dumps(facts), flush=True)
for _ in sys.stdin:
    tokens = torch.randint(shape["vocabulary"], (1, shape["length"]))
    start = time.perf_counter()
    optimizer.zero_grad(set_to_none=True)
    model(input_ids=tokens, labels=tokens).loss.backward()
    torch.nn.utils.clip_grad_norm_(trained, 1.0)
    optimizer.step()
    print(json.dumps({"seconds": time.perf_counter() - start}), flush=True)
