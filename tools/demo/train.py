"""Trains the built-in model from nothing and writes it as a Hugging Face directory.

A Llama of a few million parameters learns from dialogues that generate.py writes as it goes, so that no example is seen
twice. The loss counts the assistant's tokens only, end token included. Matrices are moved by Muon, the rest by AdamW; the
rate rises, holds and falls to zero. A step reads mostly 256-token dialogues; every other one has some of 512 tokens with
tools, or one of 2048 tokens, so that the whole context is used. Everything is seeded; floating-point sums differ between machines.

    python3 train.py --steps 3600 --out model
"""

from __future__ import annotations

import argparse
import json
import re
import time
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.utils.chat_template_utils import render_jinja_template

from generate import Item, Writer

HERE = Path(__file__).resolve().parent
TEMPLATE = (HERE / "chat_template.jinja").read_text()
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
MARKS = ["<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>"]
# Words with at most one leading sign, single digits, runs of signs, line ends, spaces.
SPLIT = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
CONTEXT = 2048
# Rows of 256 tokens that go through the model at once: more do not fit a processor's cache, and take longer each.
CHUNK = 12

CONFIG: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": 1024,
    "hidden_size": 256,
    "intermediate_size": 640,
    "num_hidden_layers": 5,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 64,
    "hidden_act": "silu",
    "max_position_embeddings": CONTEXT,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "rope_scaling": None,
    "attention_bias": False,
    "mlp_bias": False,
    "attention_dropout": 0.0,
    "tie_word_embeddings": True,
    "initializer_range": 0.02,
    "bos_token_id": None,
    "eos_token_id": 2,
    "pad_token_id": 0,
    "torch_dtype": "bfloat16",
    "use_cache": True,
}


def render(item: Item) -> str:
    rendered, _ = render_jinja_template([item["messages"]], tools=item.get("tools"), chat_template=TEMPLATE)
    return rendered[0]


def train_tokenizer(seed: int) -> Tokenizer:
    writer = Writer(seed)
    dialogues = (render(writer.dialogue(700, with_tools=i % 10 == 0)) for i in range(12000))
    texts = [text for dialogue in dialogues for text in re.split("|".join(map(re.escape, SPECIAL + MARKS)), dialogue)]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(SPECIAL)
    trainer = trainers.BpeTrainer(
        vocab_size=CONFIG["vocab_size"] - len(MARKS),
        special_tokens=SPECIAL,
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_tokens([AddedToken(mark, special=False, normalized=False) for mark in MARKS])
    assert tokenizer.get_vocab_size() == CONFIG["vocab_size"]
    return tokenizer


class Feed:
    """Batches of token ids with their targets; -100 marks what the loss does not count."""

    def __init__(self, tokenizer: Tokenizer, seed: int, rows: int) -> None:
        self.rows = rows
        self.tokenizer, self.writer = tokenizer, Writer(seed)
        self.start, self.end = (tokenizer.token_to_id(t) for t in ("<|im_start|>", "<|im_end|>"))
        self.header = tokenizer.encode("assistant\n").ids

    def targets(self, ids: list[int]) -> list[int]:
        """The next token at each position inside an assistant's message, its end token included."""
        counted, inside = [-100] * len(ids), False
        n = len(self.header)
        for i in range(1, len(ids)):
            if inside:
                counted[i - 1] = ids[i]
                inside = ids[i] != self.end
            else:
                inside = i >= n and ids[i - n] == self.start and ids[i - n + 1 : i + 1] == self.header
        return counted

    def batch(self, rows: int, length: int, with_tools: bool) -> tuple[torch.Tensor, torch.Tensor]:
        ids, counted = torch.zeros(rows, length, dtype=torch.long), torch.full((rows, length), -100)
        for row in range(rows):
            text = render(self.writer.dialogue(length * 3, with_tools))
            tokens = self.tokenizer.encode(text).ids[:length]
            ids[row, : len(tokens)] = torch.tensor(tokens)
            counted[row, : len(tokens)] = torch.tensor(self.targets(tokens))
        return ids, counted

    def step(self, number: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """A step's batches: several small ones are faster than a large one, and their gradients add up."""
        rows = [min(CHUNK, self.rows - i) for i in range(0, self.rows, CHUNK)]
        batches = [self.batch(n, 256, with_tools=False) for n in rows]
        if number % 24 == 23:
            batches.append(self.batch(1, CONTEXT, with_tools=False))
        elif number % 2:
            batches.append(self.batch(max(1, self.rows // 6), 512, with_tools=True))
        return batches


def rate(step: int, done: float, fall: float) -> float:
    """The learning rate's share: rises over 20 steps, holds, falls to zero over the share `fall` of the training.

    `done` goes from 0 to 1.
    """
    return min(1.0, (step + 1) / 20, (1 - done) / fall)


def save(model: LlamaForCausalLM, tokenizer: Tokenizer, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    state = {
        k: v.detach().to(torch.bfloat16).contiguous() for k, v in model.state_dict().items() if k != "lm_head.weight"
    }
    save_file(state, out / "model.safetensors", metadata={"format": "pt"})
    (out / "model.safetensors").chmod(0o644)  # as readable as the files beside it
    tokenizer.save(str(out / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": None,
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "unk_token": None,
        "model_max_length": CONTEXT,
        "clean_up_tokenization_spaces": False,
        "chat_template": TEMPLATE,
    }
    generation = {"eos_token_id": 2, "pad_token_id": 0, "do_sample": False}
    for name, content in (("config", CONFIG), ("tokenizer_config", settings), ("generation_config", generation)):
        (out / f"{name}.json").write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--start", type=Path, help="go on from this model directory")
    parser.add_argument("--steps", type=int, default=3600)
    parser.add_argument("--minutes", type=float, help="end after this time, the rate fallen, if the steps take longer")
    parser.add_argument("--rows", type=int, default=24, help="dialogues of 256 tokens in a step (default 24)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--muon-lr", type=float, default=3e-3)
    parser.add_argument("--adam-lr", type=float, default=3e-3)
    parser.add_argument("--fall", type=float, default=0.5, help="share of the time in which the rate falls (default 0.5)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--save-every", type=int, default=400)
    parser.add_argument("--out", type=Path, default=HERE / "model")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    tokenizer = Tokenizer.from_file(str(args.start / "tokenizer.json")) if args.start else train_tokenizer(args.seed)
    feed = Feed(tokenizer, args.seed + 1, args.rows)
    # Plain matrix products are faster on a processor than its flash attention.
    model = LlamaForCausalLM(LlamaConfig(**CONFIG, attn_implementation="eager")).to(device)
    if args.start:
        model.load_state_dict(load_file(args.start / "model.safetensors"), strict=False)
        model.tie_weights()
    print(f"{sum(p.numel() for p in model.parameters())} parameters on {device}", flush=True)

    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    others = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    optimizers = [
        torch.optim.Muon(matrices, lr=args.muon_lr, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=args.adam_lr, betas=(0.9, 0.95), weight_decay=0.0),
    ]
    peaks = [optimizer.param_groups[0]["lr"] for optimizer in optimizers]

    @torch.compile(dynamic=False)
    def hidden(ids: torch.Tensor) -> torch.Tensor:
        return model.model(input_ids=ids, use_cache=False).last_hidden_state

    def loss_sum(ids: torch.Tensor, counted: torch.Tensor) -> torch.Tensor:
        """The loss of the counted positions; the others need no logits."""
        where = (counted != -100).flatten()
        with torch.autocast(device, torch.bfloat16):
            logits = model.lm_head(hidden(ids).flatten(0, 1)[where])
        return torch.nn.functional.cross_entropy(logits.float(), counted.flatten()[where], reduction="sum")

    began, mean, seen = time.time(), 0.0, 0
    for step in range(args.steps):
        done = max(step / args.steps, (time.time() - began) / 60 / args.minutes if args.minutes else 0.0)
        if done >= 1:
            break
        batches = feed.step(step)
        total = sum(int((counted != -100).sum()) for _, counted in batches)
        loss = 0.0
        for ids, counted in batches:
            part = loss_sum(ids.to(device), counted.to(device)) / total
            part.backward()
            loss += part.item()
            seen += ids.numel()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer, peak in zip(optimizers, peaks):
            optimizer.param_groups[0]["lr"] = peak * rate(step, done, args.fall)
            optimizer.step()
            optimizer.zero_grad()
        mean = loss if step == 0 else 0.97 * mean + 0.03 * loss
        if step % 20 == 0:
            print(
                f"step {step} loss {loss:.4f} mean {mean:.4f} tokens {seen} seconds {time.time() - began:.0f}",
                flush=True,
            )
        if (step + 1) % args.save_every == 0:
            save(model, tokenizer, args.out)
    save(model, tokenizer, args.out)


if __name__ == "__main__":
    main()
