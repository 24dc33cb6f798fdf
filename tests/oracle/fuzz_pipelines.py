#!/usr/bin/env python3
"""Differential fuzzer of tokenizer.json's components: random tokenizers, `tokfs-model` against Hugging Face's `tokenizers`.

    fuzz_pipelines.py [--tool PATH] [--count N] [--seed N] [--keep DIR]

Each tokenizer has a small random vocabulary with random merges and random normalizers, pre-tokenizers, added tokens, post-processor
and decoders, alone and in sequences. For texts made of what its components look for: ids with and without special tokens; for
lists of ids: the decoding. A tokenizer that one of the two refuses is counted by what tokfs says. Prints each tokenizer with its
first difference, keeps it in DIR, and ends with 1 when there is one.
"""
import argparse
import collections
import json
import os
import random
import subprocess
import sys
import tempfile

os.environ["TOKENIZERS_PARALLELISM"] = "false"
from tokenizers import Tokenizer  # noqa: E402

BEHAVIORS = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]
LETTERS = list("abcdeABC") + ["é", "ß", "İ", "Σ", "е", "ж", "中", "文", "가", "ﬁ", "\u0301", "\u0323", "ä", "Å", "𝔸", "😀", "ǅ"]
OTHERS = list("0123456789.,!?'-_#|()<>") + ["½", "²", "٣", "…", "。", "«", "\u2019", "$", "+"]
SPACES = [" ", "  ", "\t", "\n", "\r\n", "\u00a0", "\u3000", "\u2028", "\u200b", "\u0085", "▁", "\x1c", "   "]
SPECIAL = ["<s>", "</s>", "<unk>", "<|im_end|>", "[MASK]", "ab", "a b", " x", "é", "E\u0301", "▁a", "##", "12", "Ġ", "aa", "aaa", "<s", "\n"]
REGEXES = [r"\s+", r"\s", r"\d", r"\d{1,3}", r"\p{L}+", r"[^\s\p{L}\p{N}]+", r"\w+|[^\w\s]+", r"a|b", r"(?i:AB|c)", r"\p{Lu}", r" ?\p{L}+", r"\s+(?!\S)",
           r"\p{N}", r"x*", r"(?=(\d{3})+(?!\d))", r"\b", r"^a", r"e$", r"[\r\n]", r"\s?\p{P}+", r".", r"\S+", r"\s+$", r"'s|'t| ?\p{L}+| ?\p{N}+|\s+",
           r" ?[^(\s|[.,!?…。，、।۔،])]+", r"[\p{L}&&[^\p{Lu}]]+", r"[^\p{L}&&\p{Lu}a-e]", r"[a-e[^\p{L}\s]]+|\d", r"[\w&&[^\d]]{1,3}", r"[[a-c]&&[^b]A-C]+?",
           r"[^[^a-zA-Z]é]+", r"[\p{Han}]+|[\p{L}\p{M}&&[^\p{Han}]]+(?i:'s)?", r"[^\s&&[^\n]]+",
           r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"]
STRINGS = [" ", "▁", "a", "ab", "-", "\n", "  ", "Ġ", "é", "", "##", "中", "''", ".", " a"]


def byte_alphabet():
    keep = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return [chr(b) for b in keep] + [chr(256 + i) for i in range(256 - len(keep))]


class Maker:
    def __init__(self, rng):
        self.rng = rng

    def some(self, items, most):
        return [self.rng.choice(items)() for _ in range(self.rng.randint(1, most))]

    def flag(self, p=0.5):
        return self.rng.random() < p

    def pattern(self):
        if self.flag(0.6):
            return {"Regex": self.rng.choice(REGEXES)}
        return {"String": self.rng.choice(STRINGS)}

    def sequence(self, key, items, most):
        parts = self.some(items, most)
        return parts[0] if len(parts) == 1 and self.flag() else {"type": "Sequence", key: parts}

    def normalizer(self):
        r = self.rng
        return self.sequence("normalizers", [
            *(lambda t=t: {"type": t} for t in ("NFC", "NFD", "NFKC", "NFKD", "StripAccents", "Lowercase", "Nmt")),
            lambda: {"type": "Strip", "strip_left": self.flag(), "strip_right": self.flag()},
            lambda: {"type": "Prepend", "prepend": r.choice(["▁", " ", "a", "é"])},
            lambda: {"type": "Replace", "pattern": self.pattern(), "content": r.choice(["", " ", "▁", "a", "xy"])},
            lambda: {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
            *([lambda: {"type": "ByteLevel"}] if self.flag(0.1) else [])], 3)

    def pre_tokenizer(self):
        r = self.rng

        def metaspace():
            spec = {"type": "Metaspace", "replacement": r.choice(["▁", "_"]), "split": self.flag(0.7)}
            scheme = r.choice([None, "always", "first", "never"])
            return spec | ({"prepend_scheme": scheme} if scheme else {})

        return self.sequence("pretokenizers", [
            lambda: {"type": "Split", "pattern": self.pattern(), "behavior": r.choice(BEHAVIORS), "invert": self.flag(0.3)},
            lambda: {"type": "Split", "pattern": self.pattern(), "behavior": r.choice(BEHAVIORS), "invert": self.flag(0.3)},
            lambda: {"type": "ByteLevel", "add_prefix_space": self.flag(0.3), "trim_offsets": self.flag(), "use_regex": self.flag()},
            metaspace,
            lambda: {"type": "Digits", "individual_digits": self.flag()},
            lambda: {"type": "Punctuation", "behavior": r.choice(BEHAVIORS)},
            lambda: {"type": "Whitespace"}, lambda: {"type": "WhitespaceSplit"},
            lambda: {"type": "CharDelimiterSplit", "delimiter": r.choice("a-| ")},
            lambda: {"type": "FixedLength", "length": r.randint(1, 4)}], 3)

    def decoder(self):
        r = self.rng
        return self.sequence("decoders", [
            lambda: {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
            lambda: {"type": "ByteFallback"}, lambda: {"type": "Fuse"},
            lambda: {"type": "Strip", "content": r.choice([" ", "a", "▁"]), "start": r.randint(0, 2), "stop": r.randint(0, 2)},
            lambda: {"type": "Replace", "pattern": self.pattern(), "content": r.choice(["", " ", "a", "▁"])},
            lambda: {"type": "Metaspace", "replacement": "▁", "prepend_scheme": r.choice(["always", "first", "never"]), "split": True},
            lambda: {"type": "BPEDecoder", "suffix": r.choice(["</w>", "a"])},
            lambda: {"type": "WordPiece", "prefix": r.choice(["##", "a"]), "cleanup": self.flag()},
            lambda: {"type": "CTC", "pad_token": r.choice(["<s>", "a"]), "word_delimiter_token": r.choice(["|", "▁"]), "cleanup": self.flag()}], 4)

    def model(self):
        r = self.rng
        alphabet = r.choice([byte_alphabet(), LETTERS + OTHERS + ["▁", " "], byte_alphabet() + LETTERS + ["▁"]])
        tokens = [t for t in dict.fromkeys(alphabet) if self.flag(0.95)]
        model = {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None,
                 "fuse_unk": self.flag(), "byte_fallback": self.flag(0.4), "ignore_merges": self.flag(0.3)}
        if self.flag(0.5):
            model["unk_token"] = "<unk>"
            tokens.append("<unk>")
        if model["byte_fallback"]:
            tokens += [f"<0x{i:02X}>" for i in range(256) if self.flag(0.98)]
        prefix, suffix = "", ""
        if self.flag(0.1):
            prefix = model["continuing_subword_prefix"] = "##"
            tokens += ["##" + t for t in LETTERS if self.flag(0.8)]
        if self.flag(0.1):
            suffix = model["end_of_word_suffix"] = "</w>"
            tokens += [t + "</w>" for t in LETTERS if self.flag(0.8)]
        words, merges = [t for t in tokens if not t.startswith("<0x")], []
        for _ in range(r.choice((0, 20, 150))):
            left, right = r.choice(words), r.choice(words)
            if right.startswith(prefix) and len(left + right) < 20:
                merges.append([left, right])
                words.append(left + right[len(prefix):])
        tokens = list(dict.fromkeys(tokens + words))
        r.shuffle(tokens)
        model["vocab"] = {t: i for i, t in enumerate(tokens)}
        model["merges"] = merges if not self.flag(0.5) or any(" " in a + b for a, b in merges) else [f"{a} {b}" for a, b in merges]
        return model

    def added_tokens(self, vocab):
        contents = self.rng.sample(SPECIAL, self.rng.randint(0, 6))
        out, next_id = [], len(vocab)
        for content in contents:
            token_id = vocab.get(content, next_id)
            next_id += content not in vocab
            out.append({"id": token_id, "content": content, "single_word": self.flag(0.2), "lstrip": self.flag(0.2), "rstrip": self.flag(0.2),
                        "normalized": self.flag(0.4), "special": self.flag()})
        return sorted(out, key=lambda t: t["id"])

    def post_processor(self, vocab):
        r = self.rng
        names = r.sample(list(vocab), 2)
        pieces = [{"Sequence": {"id": "A", "type_id": 0}}]
        for name in names:
            pieces.insert(r.randint(0, len(pieces)), {"SpecialToken": {"id": name, "type_id": 0}})
        template = {"type": "TemplateProcessing", "single": pieces, "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
                    "special_tokens": {n: {"id": n, "ids": [vocab[n]] * r.randint(1, 2), "tokens": [n] * 1} for n in names}}
        for value in template["special_tokens"].values():
            value["tokens"] *= len(value["ids"])
        byte_level = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True}
        pair = {"sep": [names[0], vocab[names[0]]], "cls": [names[1], vocab[names[1]]]}
        return r.choice([template, byte_level, {"type": "Sequence", "processors": [byte_level, template]}, {"type": "BertProcessing", **pair},
                         {"type": "RobertaProcessing", "trim_offsets": True, "add_prefix_space": False, **pair}])

    def tokenizer(self):
        """No Metaspace with `first` behind steps that change or cut: it asks where a piece begins in the text as it was given, and for
        a piece from inside of what the first character became (the accent of a decomposed letter) the package answers: at the start."""
        model = self.model()
        normalizer, pre_tokenizer = self.normalizer() if self.flag(0.6) else None, self.pre_tokenizer() if self.flag(0.8) else None
        for i, step in enumerate((pre_tokenizer or {}).get("pretokenizers", [pre_tokenizer or {}])):
            if step.get("prepend_scheme") == "first" and (i or normalizer):
                step["prepend_scheme"] = "always"
        return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": self.added_tokens(model["vocab"]),
                "normalizer": normalizer, "pre_tokenizer": pre_tokenizer, "post_processor": self.post_processor(model["vocab"]) if self.flag() else None,
                "decoder": self.decoder() if self.flag(0.8) else None, "model": model}

    def text(self):
        r = self.rng
        pools = [LETTERS, LETTERS, LETTERS[:4], OTHERS, SPACES, SPECIAL, STRINGS]
        return "".join(r.choice(r.choice(pools)) * r.choice((1, 1, 1, 2, 5)) for _ in range(r.choice((0, 1, 2, 4, 10, 40))))

    def ids(self, n_vocab):
        return [self.rng.randint(0, n_vocab + 2) for _ in range(self.rng.choice((0, 1, 2, 6, 20)))]


def attempt(function, *args, **named):
    """The package panics on some inputs: no oracle there."""
    try:
        return function(*args, **named)
    except BaseException as e:
        if isinstance(e, KeyboardInterrupt):
            raise
        return None


def ask(tool, command, path, values):
    """Answers line by line; a line that fails ends the run: its answer and those after it are missing."""
    lines = "".join(json.dumps(v) + "\n" for v in values)
    result = subprocess.run([tool, *command.split(), path], input=lines.encode(), capture_output=True)
    if result.returncode not in (0, 1):
        raise SystemExit(f"{path}: {command} ended with {result.returncode}: {result.stderr.decode()}")
    return [json.loads(line) for line in result.stdout.splitlines()], result.stderr.decode().strip()


def check(tool, path, maker, counts):
    """The first difference as text, or None."""
    spec = json.load(open(path, encoding="utf-8"))
    theirs = attempt(Tokenizer.from_file, path)
    texts = [maker.text() for _ in range(24)]
    _, refusal = ask(tool, "tokenize", path, [])
    if refusal or theirs is None:
        words = refusal.split(": ", 2)[-1] if refusal else "taken"
        counts[("refused by both: " if theirs is None and refusal else "refused: " if refusal else "taken, refused by the other: ") + words[:60]] += 1
        return None
    lists = [[i for i in maker.ids(len(spec["model"]["vocab"])) if theirs.id_to_token(i) is not None] for _ in range(24)]
    for special, command in ((False, "tokenize"), (True, "tokenize --special")):
        wanted = [attempt(lambda t=t: theirs.encode(t, add_special_tokens=special).ids) for t in texts]
        pairs = [(t, w) for t, w in zip(texts, wanted) if w is not None]
        got, message = ask(tool, command, path, [t for t, _ in pairs])
        for (text, want), have in zip(pairs, got + [message] * (len(pairs) - len(got))):
            counts["texts"] += 1
            if want != have:
                return f"{command} {text!r}\n  want {want}\n  have {have}"
        lists += [w for _, w in pairs[:8]]
    for skip, command in ((False, "detokenize"), (True, "detokenize --skip-special")):
        wanted = [attempt(lambda ids=ids: theirs.decode(ids, skip_special_tokens=skip)) for ids in lists]
        pairs = [(ids, w) for ids, w in zip(lists, wanted) if w is not None]
        got, message = ask(tool, command, path, [ids for ids, _ in pairs])
        for (ids, want), have in zip(pairs, got + [message] * (len(pairs) - len(got))):
            counts["lists"] += 1
            if want != have:
                return f"{command} {ids} = {[theirs.id_to_token(i) for i in ids]}\n  want {want!r}\n  have {have!r}"
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tool", default="build/tools/model/tokfs-model")
    parser.add_argument("--count", type=int, default=200, help="of tokenizers")
    parser.add_argument("--seed", type=int, default=1, help="of the first; the next ones follow")
    parser.add_argument("--keep", help="a directory for tokenizers with a difference")
    args = parser.parse_args()
    counts = collections.Counter()
    with tempfile.TemporaryDirectory() as tmp:
        for seed in range(args.seed, args.seed + args.count):
            maker = Maker(random.Random(seed))
            path = os.path.join(args.keep or tmp, f"{seed}.json")
            spec = maker.tokenizer()
            with open(path, "w", encoding="utf-8") as f:
                json.dump(spec, f, ensure_ascii=False)
            difference = check(args.tool, path, maker, counts)
            counts["tokenizers"] += 1
            if difference:
                counts["differences"] += 1
                parts = {k: spec[k] for k in ("normalizer", "pre_tokenizer", "decoder", "added_tokens", "post_processor")}
                options = {k: v for k, v in spec["model"].items() if k not in ("vocab", "merges")}
                print(f"seed {seed}: {difference}\n  {json.dumps(parts, ensure_ascii=False)}\n  {json.dumps(options)}", flush=True)
            if not difference or not args.keep:
                os.unlink(path)
    for key, n in sorted(counts.items()):
        print(f"{n:8} {key}")
    return 1 if counts["differences"] else 0


sys.exit(main())
