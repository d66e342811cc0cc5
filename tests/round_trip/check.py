"""Opens what export.deno.ts has written in transformers and PEFT and compares logits.

    pip install torch transformers peft safetensors
    python tests/round_trip/check.py OUTPUT_FOLDER > tests/round_trip/result.json

Prints one JSON object: for each model the largest difference of logits of the merged model and of base plus adapter, and the versions used.
Exits with 1 if one is above 1e-4, ten times what float32 PyTorch differs by from float64 on the fixtures.
"""

import json
import pathlib
import sys

import peft
import safetensors
import safetensors.torch
import torch
import transformers

TOLERANCE = 1e-4


def largest_difference(model, ids, expected):
    with torch.no_grad():
        return (model.eval().float()(input_ids=ids).logits - expected).abs().max().item()


def check(folder):
    expected = safetensors.torch.load_file(folder / "expected" / "logits.safetensors")
    task = json.loads((folder / "expected" / "task.json").read_text())
    auto = transformers.AutoModelForSequenceClassification if task["classification"] else transformers.AutoModelForCausalLM
    ids, logits = expected["input_ids"].long(), expected["logits"]
    merged, loading = auto.from_pretrained(folder / "merged", output_loading_info=True)
    adapted = peft.PeftModel.from_pretrained(auto.from_pretrained(folder / "base"), folder / "adapter")
    return {
        "missing_keys": sorted(loading["missing_keys"]),
        "unexpected_keys": sorted(loading["unexpected_keys"]),
        "merged": largest_difference(merged, ids, logits),
        "adapter": largest_difference(adapted, ids, logits),
    }


def main():
    models = {folder.name: check(folder) for folder in sorted(pathlib.Path(sys.argv[1]).iterdir())}
    versions = {module.__name__: module.__version__ for module in (torch, transformers, peft, safetensors)}
    print(json.dumps({"tolerance": TOLERANCE, "versions": versions, "models": models}, indent=2))
    fine = all(max(one["merged"], one["adapter"]) <= TOLERANCE and not one["missing_keys"] and not one["unexpected_keys"] for one in models.values())
    return 0 if fine else 1


sys.exit(main())
