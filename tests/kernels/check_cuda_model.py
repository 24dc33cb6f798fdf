#!/usr/bin/env python3
"""Models as the GPU would run them: check_cuda_model.py TOKFS_MODEL TOKFS_MODEL_ON_GPU [STEP | recorded]

Logits of every tiny model of the fixtures, and of the built-in one, by the CPU backend and by the CUDA backend, on a GPU or over the host's model of one.
STEP: only every so many of the tiny models, and not the built-in one.
recorded: against the logits that transformers computed (tests/oracle/gen_models.py) instead of the CPU's: of whole prompts and token by token, with
the kernels of --deterministic and without.
"""
import array
import concurrent.futures
import json
import os
import subprocess
import sys

ROOT = os.environ["TOKFS_SOURCE_ROOT"]
# In 16 bits the GPU rounds what its tensor cores read, as the CPU does not everywhere.
TOLERANCE = {"float32": 1e-4, "float16": 0.03, "bfloat16": 0.2}
RECORDED_TOLERANCE = {"f8-rows": 0.3, "gpt-oss": 0.15, "qwen3-biases-window": 0.15}  # as tests/model/test_oracle.c says


def logits(tool, backend, model, prompts, *options):
    run = subprocess.run([tool, "logits", "--backend", backend, *options, model], input="".join(json.dumps(p) + "\n" for p in prompts),
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


# The tensors of a file, as rows of the vocabulary.
def rows_of(path, n_vocab):
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        data = file.read()
    tensors = {}
    for name, tensor in header.items():
        if name != "__metadata__":
            assert tensor["dtype"] == "F32", (path, name)
            begin, end = tensor["data_offsets"]
            values = array.array("f", data[begin:end])
            tensors[name] = [values[i:i + n_vocab] for i in range(0, len(values), n_vocab)]
    return tensors


def compare_recorded(tool, model):
    with open(model + "/expected/prompts.json", encoding="utf-8") as file:
        prompts = json.load(file)
    with open(model + "/config.json", encoding="utf-8") as file:
        config = json.load(file)
    config = config.get("text_config", config)
    want = rows_of(model + "/expected/model.safetensors", config["vocab_size"])
    name, dtype = os.path.basename(model), config.get("torch_dtype") or config.get("dtype") or "float32"
    tolerance = RECORDED_TOLERANCE.get(name, TOLERANCE[dtype])
    for options in ([], ["--no-deterministic"], ["--no-deterministic", "--chunk", "1"]):
        got = logits(tool, "cuda", model, prompts, *options)
        assert len(got) == len(want), model
        worst = max(abs(g - w) for i, rows in enumerate(got) for g_row, w_row in zip(rows, want[f"logits.{i}"], strict=True)
                    for g, w in zip(g_row, w_row, strict=True))
        print(f"{name} {' '.join(options)}: {dtype}, largest difference from transformers {worst:.2g}")
        assert worst <= tolerance, (model, options, worst)


def main():
    models = [ROOT + "/tests/fixtures/models/" + name for name in sorted(os.listdir(ROOT + "/tests/fixtures/models"))]
    models = [model for model in models if os.path.exists(model + "/config.json")]
    if sys.argv[3:] == ["recorded"]:
        with concurrent.futures.ThreadPoolExecutor(min(8, os.cpu_count())) as pool:
            # The tool always serves a model's whole context, for which that one has no logits.
            models = [model for model in models if not model.endswith("longrope-short")]
            list(pool.map(lambda model: compare_recorded(sys.argv[2], model), models))
        return
    models = models[::int(sys.argv[3])] if len(sys.argv) > 3 else models + [ROOT + "/tools/demo/model"]
    for model in models:
        compare(sys.argv[1], sys.argv[2], model)


main()
