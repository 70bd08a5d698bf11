"""Makes an adapter with Python's PEFT: `python peft-adapter.py MODEL FOLDER '[1, 2, 3]'`.

Writes FOLDER/adapter_config.json and adapter_model.safetensors, and prints JSON: the log-probability of every id after
the first. Needs torch, transformers and peft.
"""
import json
import sys

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

model_path, folder, ids = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
torch.manual_seed(1)
model = AutoModelForCausalLM.from_pretrained(model_path, dtype=torch.float32)
targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
config = LoraConfig(r=2, lora_alpha=6, lora_dropout=0.1, target_modules=targets, task_type="CAUSAL_LM")
model = get_peft_model(model, config).eval()
with torch.no_grad():
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.normal_(std=0.3)
    model.peft_config["default"].base_model_name_or_path = "tiny"
    model.save_pretrained(folder, save_embedding_layers=False)
    logits = model(torch.tensor([ids])).logits[0].double()
chosen = logits.log_softmax(-1)[torch.arange(len(ids) - 1), torch.tensor(ids[1:])]
print(json.dumps([round(value, 6) for value in chosen.tolist()]))
