#!/usr/bin/env python3
"""Compares `tokfs-model random` and `logits` with transformers: the directory loads there, its tokenizer and chat template work,
and the logits of a prompt agree.

Needs: torch, transformers (PyPI). Usage: tests/oracle/check_random.py TOKFS_MODEL [--backend NAME] DIR... (models made by `random`)
"""

import json
import subprocess
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

TEXT = "There was a little girl named Lily. Ünïcödé 日本語 123!\n\n  indented"


def check(tool, options, directory):
    tokenizer = AutoTokenizer.from_pretrained(directory)
    model, loading = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32, output_loading_info=True)
    assert not loading["missing_keys"] and not loading["unexpected_keys"], loading
    assert len(tokenizer) == model.config.vocab_size, (len(tokenizer), model.config.vocab_size)
    ids = tokenizer(TEXT)["input_ids"]
    assert tokenizer.decode(ids) == TEXT, tokenizer.decode(ids)
    chat = tokenizer.apply_chat_template(
        [{"role": "user", "content": "hello there"}], add_generation_prompt=True, tokenize=False
    )
    assert chat == "<|im_start|>user\nhello there<|im_end|>\n<|im_start|>assistant\n", chat
    chat_ids = tokenizer(chat)["input_ids"]
    assert chat_ids[0] == tokenizer.convert_tokens_to_ids("<|im_start|>") and tokenizer.eos_token_id in chat_ids

    with torch.no_grad():
        expected = model(torch.tensor([ids])).logits[0]
    run = subprocess.run([tool, "logits", *options, directory], input=json.dumps(ids), capture_output=True, text=True, check=True)
    logits = torch.tensor(json.loads(run.stdout)["logits"])
    worst, deviation = (logits - expected).abs().max(), expected.std()
    assert logits.shape == expected.shape and worst < 0.25 * deviation, (directory, worst, deviation)
    print(
        f"{directory}: {len(TEXT)} characters, {len(ids)} tokens, logits deviate by {deviation:.2f},"
        f" largest difference {worst:.3g}, same argmax at"
        f" {(logits.argmax(1) == expected.argmax(1)).sum()} of {len(ids)} positions"
    )


options = sys.argv[2:4] if sys.argv[2] == "--backend" else []
for path in sys.argv[2 + len(options):]:
    check(sys.argv[1], options, path)
