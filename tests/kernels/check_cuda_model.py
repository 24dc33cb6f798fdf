#!/usr/bin/env python3
"""Models as the GPU would run them: check_cuda_model.py TOKFS_MODEL TOKFS_MODEL_ON_GPU [STEP]

Logits of every tiny model of the fixtures, and of the built-in one, by the CPU backend and by the CUDA backend over the host's model of a GPU.
STEP: only every so many of the tiny models, and not the built-in one.
"""
import json
import os
import subprocess
import sys

ROOT = os.environ["TOKFS_SOURCE_ROOT"]
# In 16 bits the GPU rounds what its tensor cores read, as the CPU does not everywhere.
TOLERANCE = {"float32": 1e-4, "float16": 0.03, "bfloat16": 0.2}


def logits(tool, backend, model, prompts):
    run = subprocess.run([tool, "logits", "--backend", backend, model], input="".join(json.dumps(p) + "\n" for p in prompts),
                         capture_output=True, text=True)
    assert run.returncode == 0, (model, backend, run.stderr)
    return [json.loads(line)["logits"] for line in run.stdout.splitlines()]


def compare(cpu_tool, gpu_tool, model):
    with open(model + "/config.json", encoding="utf-8") as file:
        config = json.load(file)
    config = config.get("text_config", config)
    n_vocab = config["vocab_size"]
    prompts = [[(7 * i + 3) % n_vocab for i in range(n)] for n in (1, 11)]
    cpu, gpu = logits(cpu_tool, "cpu", model, prompts), logits(gpu_tool, "cuda", model, prompts)
    worst = 0.0
    for want_rows, got_rows in zip(cpu, gpu):
        for want, got in zip(want_rows, got_rows):
            worst = max(worst, max(abs(w - g) for w, g in zip(want, got)))
    dtype = config.get("torch_dtype") or config.get("dtype") or "float32"
    print(f"{os.path.basename(model)}: {dtype}, largest difference {worst:.2g}")
    assert worst <= TOLERANCE[dtype], model


def main():
    models = [ROOT + "/tests/fixtures/models/" + name for name in sorted(os.listdir(ROOT + "/tests/fixtures/models"))]
    models = [model for model in models if os.path.exists(model + "/config.json")]
    models = models[::int(sys.argv[3])] if len(sys.argv) > 3 else models + [ROOT + "/tools/demo/model"]
    for model in models:
        compare(sys.argv[1], sys.argv[2], model)


main()
