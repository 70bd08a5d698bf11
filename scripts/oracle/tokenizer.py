"""Checks ids of scripts/oracle/tokenizer.ts with the sentencepiece library (pip install sentencepiece)."""

import json
import pathlib
import sys

import sentencepiece

folder = pathlib.Path(sys.argv[1])
processor = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
records = json.loads((folder / "ids.json").read_text(encoding="utf-8"))
differing = 0
for record in records:
    theirs = processor.encode(record["text"])
    back = processor.decode(record["ids"])
    if theirs != record["ids"] or back != record["text"]:
        differing += 1
        if differing <= 10:
            print(repr(record["text"]), record["ids"], theirs, repr(back))
print(f"{len(records)} texts, {processor.get_piece_size()} pieces, {differing} differ")
sys.exit(1 if differing else 0)
