#!/usr/bin/env python3
"""Compares the logits of tokfs and llama.cpp (llama-cpp-python) on GGUF files, token by token of a random prompt.

    check_llama_cpp.py TOKFS_MODEL FILE.gguf...

Prints for each file the largest difference, that of the second largest logit to the largest for scale, and at how many positions another
token is the likeliest. Needs: llama-cpp-python, numpy.
"""

import json
import subprocess
import sys

import llama_cpp
import numpy as np


def peer(path, tokens):
    model = llama_cpp.Llama(model_path=path, logits_all=True, n_ctx=max(64, len(tokens)), verbose=False, n_threads=2)
    model.eval(tokens)
    return np.array(model.scores[: len(tokens)])


def ours(tool, path, tokens):
    result = subprocess.run([tool, "logits", path], input=json.dumps(tokens), capture_output=True, text=True, check=True)
    return np.array(json.loads(result.stdout)["logits"], dtype=np.float64)


def main():
    tool, *files = sys.argv[1:]
    for path in files:
        info = json.loads(subprocess.run([tool, "info", "--json", path], capture_output=True, text=True, check=True).stdout)
        n = min(24, info["context"])
        tokens = np.random.default_rng(1).integers(3, min(info["vocab_size"], 1000), n).tolist()
        try:
            want = peer(path, tokens)
        except Exception as e:
            print(f"{path}: llama.cpp refuses it: {e}")
            continue
        got = ours(tool, path, tokens)[:, : want.shape[1]]
        others = int((got.argmax(-1) != want.argmax(-1)).sum())
        log_softmax = lambda x: x - x.max(-1, keepdims=True) - np.log(np.exp(x - x.max(-1, keepdims=True)).sum(-1, keepdims=True))  # noqa: E731
        p, q = log_softmax(want.astype(np.float64)), log_softmax(got)
        kl = float((np.exp(p) * (p - q)).sum(-1).mean())
        print(f"{path}: largest difference {np.abs(got - want).max():.3g} of {np.abs(want).max():.3g}, mean KL {kl:.2g}, other tokens {others} of {n}")


if __name__ == "__main__":
    main()
