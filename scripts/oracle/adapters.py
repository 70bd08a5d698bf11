"""Log-probabilities of a Hugging Face model with a PEFT adapter: `python adapters.py MODEL ADAPTER '[1, 2, 3]'`.

Prints JSON: the log-probability of every id after the first. Needs torch, transformers and peft.
"""
import json
import sys

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

model_path, adapter_path, ids = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
model = AutoModelForCausalLM.from_pretrained(model_path, dtype=torch.float32)
model = PeftModel.from_pretrained(model, adapter_path).eval()
with torch.no_grad():
    logits = model(torch.tensor([ids])).logits[0].double()
chosen = logits.log_softmax(-1)[torch.arange(len(ids) - 1), torch.tensor(ids[1:])]
print(json.dumps(chosen.tolist()))
