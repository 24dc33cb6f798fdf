#!/usr/bin/env python3
"""Differential fuzzer: `tokfs-model tokenize` and `detokenize` against Hugging Face's `tokenizers`.

    fuzz_tokenizer.py [--tool PATH] [--bytes N] [--seed N] TOKENIZER.json...

Texts are mixed from what tokenizers treat differently: words and tokens of the vocabulary, contractions, white space of every
kind, digits, added tokens with odd neighbours, characters of all planes and categories, combining marks, long runs. For each
text: ids without and with special tokens. For each list of ids (from texts, and at random): the decoding. Prints the first
difference of each kind and ends with 1 when there is one.
"""
import argparse
import json
import os
import random
import subprocess
import sys

os.environ["TOKENIZERS_PARALLELISM"] = "false"
from tokenizers import Tokenizer  # noqa: E402

SPACES = [" ", "  ", "   ", "\n", "\n\n", "\r\n", "\r", "\t", "\v", "\f", "\x85", "\u00a0", "\u1680", "\u2003", "\u2028", "\u2029",
          "\u202f", "\u205f", "\u3000", "\u180e", "\u200b", "\u200d", "\ufeff", "\x1c", "\x1f", " \n", "\n ", " \t ", "\u2581"]
CONTRACTIONS = ["'s", "'S", "'t", "'re", "'RE", "'Ve", "'m", "'LL", "'ll", "'d", "'\u017f", "'\u212a", "''s", "\u2019s", "'l", "'r", "'"]
DIGITS = list("0123456789") + ["12", "345", "6789", "\u0663", "\u00b2", "\u00bd", "\u2167", "\u0e53", "\U0001d7d9", "\u3007", "\u4e94"]
PUNCT = list("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~") + ["\u3002", "\uff01", "\u2026", "\u00bf", "\u00ab", "...", "--", "==", "//", "->", "()"]
MARKS = ["e\u0301", "\u0301", "a\u030a\u0323", "\u00e9", "\u1e9b\u0323", "\uac00", "\u1100\u1161\u11a8", "\u0915\u094d\u0937", "\ufb01", "\u212b",
         "\u0130", "\u00df", "\u1e9e", "\u03a3", "\u01c5", "\ufdfa", "\u2126", "\u0344", "\U0002f801", "\u0958"]
EMOJI = ["\U0001f600", "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f44d\U0001f3fd", "\u2764\ufe0f", "\U0001f1e9\U0001f1ea", "1\ufe0f\u20e3"]
SCRIPTS = ["Привет", "мир", "你好", "世界", "日本語", "カタカナ", "안녕", "שלום", "مرحبا", "नमस्ते", "สวัสดี", "ħello", "Straße", "ĠĊÂ", "ø", "÷"]
BLOCKS = [(0, 0x7f), (0x80, 0x24f), (0x250, 0x52f), (0x530, 0x1fff), (0x2000, 0x2bff), (0x2c00, 0x2fff), (0x3000, 0x9fff), (0xa000, 0xabff),
          (0xac00, 0xd7ff), (0xe000, 0xffff), (0x10000, 0x1ffff), (0x20000, 0x323af), (0xe0000, 0xe01ef), (0, 0x10ffff)]


class Peer:
    """One of the tool's conversations: a JSON line in, a JSON line out."""

    def __init__(self, tool, *args):
        self.process = subprocess.Popen([tool, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, values):
        out = []
        for value in values:
            self.process.stdin.write(json.dumps(value).encode() + b"\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
            if not line:
                raise SystemExit(f"the tool ended at {value!r}")
            out.append(json.loads(line))
        return out

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Texts:
    def __init__(self, rng, tokenizer):
        self.rng = rng
        vocab = tokenizer.get_vocab(True)
        self.tokens = list(vocab)
        self.ids = list(vocab.values())
        self.added = [t.content for t in tokenizer.get_added_tokens_decoder().values()]
        self.tokenizer = tokenizer

    def point(self):
        while True:
            c = self.rng.randint(*self.rng.choice(BLOCKS))
            if not 0xD800 <= c < 0xE000:
                return chr(c)

    def part(self):
        r = self.rng
        kind = r.randrange(13)
        if kind == 0:
            return r.choice(SPACES) * r.choice((1, 1, 1, 2, 7))
        if kind == 1:
            return r.choice(CONTRACTIONS)
        if kind == 2:
            return "".join(r.choice(DIGITS) for _ in range(r.randint(1, 9)))
        if kind == 3:
            return "".join(r.choice(PUNCT) for _ in range(r.randint(1, 4)))
        if kind == 4:
            return r.choice(MARKS + EMOJI + SCRIPTS)
        if kind == 5:
            return "".join(self.point() for _ in range(r.randint(1, 6)))
        if kind == 6 and self.added:
            token = r.choice(self.added)
            return r.choice((token, " " + token + " ", token[:-1], token + token, "\n" + token + "\t", token.upper(), "a" + token + "b"))
        if kind == 7:
            return decode(self.tokenizer, [r.choice(self.ids)], False) or ""
        if kind == 8:
            return r.choice(self.tokens)
        if kind == 9:
            return self.point() * r.choice((2, 3, 40))
        word = "".join(r.choice("aeiountrslmdcbhgkpvwyfxzqjAEST") for _ in range(r.randint(1, 11)))
        return r.choice((word, " " + word, " " + word, word.upper(), word + " ", " " + word.capitalize()))

    def text(self):
        return "".join(self.part() for _ in range(self.rng.choice((1, 2, 3, 8, 30, 120))))

    def id_list(self):
        n = self.rng.choice((0, 1, 2, 5, 20, 60))
        return [self.rng.choice(self.ids) for _ in range(n)]

    def byte_ids(self):
        """Ids of tokens that stand for parts of characters: decodings with ill-formed UTF-8."""
        odd = [i for t, i in self.tokenizer.get_vocab(True).items() if t.startswith("<0x") or len(t) == 1]
        return [self.rng.choice(odd or self.ids) for _ in range(self.rng.randint(1, 20))]


def decode(tokenizer, ids, skip):
    try:
        return tokenizer.decode(ids, skip_special_tokens=skip)
    except BaseException as e:  # the package panics on some inputs (Strip at the end of a short text): no oracle there
        if type(e).__name__ != "PanicException":
            raise
        return None


def compare(report, what, inputs, wanted, got):
    for value, want, have in zip(inputs, wanted, got):
        if want is not None and want != have:
            report(what, value, want, have)


def fuzz(path, args):
    tokenizer = Tokenizer.from_file(path)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    texts = Texts(random.Random(args.seed), tokenizer)
    peers = {name: Peer(args.tool, *name.split(), path)
             for name in ("tokenize", "tokenize --special", "detokenize", "detokenize --skip-special")}
    counts, seen = {"bytes": 0, "texts": 0, "lists": 0, "differences": 0}, set()

    def report(what, value, want, have):
        counts["differences"] += 1
        if what not in seen:
            seen.add(what)
            print(f"{path}: {what} {value!r}\n  want {want}\n  have {have}", flush=True)

    while counts["bytes"] < args.bytes:
        batch = [texts.text() for _ in range(64)]
        counts["bytes"] += sum(len(t.encode()) for t in batch)
        counts["texts"] += len(batch)
        plain = [e.ids for e in tokenizer.encode_batch(batch, add_special_tokens=False)]
        compare(report, "encode", batch, plain, peers["tokenize"].ask(batch))
        special = [e.ids for e in tokenizer.encode_batch(batch, add_special_tokens=True)]
        compare(report, "encode with special", batch, special, peers["tokenize --special"].ask(batch))
        lists = plain + [texts.id_list() for _ in range(32)] + [texts.byte_ids() for _ in range(32)]
        counts["lists"] += len(lists)
        for name, skip in (("detokenize", False), ("detokenize --skip-special", True)):
            wanted = [decode(tokenizer, ids, skip) for ids in lists]
            compare(report, name, lists, wanted, peers[name].ask(lists))
    for peer in peers.values():
        peer.close()
    print(f"{path}: {counts}", flush=True)
    return counts["differences"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tool", default="build/tools/model/tokfs-model")
    parser.add_argument("--bytes", type=int, default=1_000_000, help="of text per tokenizer")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("tokenizers", nargs="+")
    args = parser.parse_args()
    return 1 if sum(fuzz(path, args) for path in args.tokenizers) else 0


sys.exit(main())
