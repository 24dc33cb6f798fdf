#!/usr/bin/env python3
"""Writes tests/fixtures/tokenizers/*.json: tiny tokenizers of every kind, with ids and decodings by Hugging Face's `tokenizers`.

    gen_tokenizer_fixtures.py OUTPUT_DIR [--bare]

Each file holds {"tokenizer": a tokenizer.json, "cases": [{text, ids, ids_special, ids_plain, decoded}],
"decodings": [{ids, text, skipped}]}. With --bare only the tokenizers, for the fuzzer.
"""
import json
import os
import random
import sys

os.environ["TOKENIZERS_PARALLELISM"] = "false"
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers  # noqa: E402

CORPUS = ["The quick brown fox jumps over the lazy dog. It's 12 o'clock; we'll see 345 foxes!",
          "the the them there then this that those", "  two  spaces   three\n\nlines\r\n\ttabs", "def f(x):\n    return x + 1\n",
          "naïve café Ünïcode Straße ÆØÅ", "Привет мир, как дела?", "你好，世界。今天天气很好", "안녕하세요 세계", "😀😃 emoji 👍🏽",
          "3.14159 1000000 2024-01-01", "HELLO World hello WORLD", "don't can't won't I'm you're they've he'd"] * 4
TEXTS = ["", " ", "a", "Hello world", " Hello  world ", "the quick brown fox", "It's we'll I'M THEY'VE 'ſ ''s", "12 345 6789 ½ Ⅷ ٣",
         "a\nb\n\n c\r\n\td \n", "   ", "\n \n", "x   y", "naïve café e\u0301 Å \u212b ﬁ", "Привет, мир!", "你好，世界。", "안녕 세계",
         "😀👍🏽 👨\u200d👩\u200d👧", "<s>Hi</s>", "<|im_start|>user\nhi<|im_end|>\n", "a <mask> b", "a  <mask>  b<mask>c", "word words sword word",
         "the Day monday DAY [day] day", "\u2581x\u2581\u2581y", "\u00a0nbsp\u3000wide\u200bzero", "\x00\x01\x7f\u0085", "a-b--c...d!?",
         "\U0010fffd\U000e0001\uffff", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
         "the" * 30, "ﷺ Ω ß ẞ İ Σς", "tab\tsep,comma;semi"]
GPT4 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN = GPT4.replace("{1,3}", "")
O200K = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
         r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}|"
         r" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
pre, norm, dec, post = pre_tokenizers, normalizers, decoders, processors
SPECIAL = ["<|im_start|>", "<|im_end|>", "<s>", "</s>"]


def train(pre_tokenizer, normalizer=None, decoder=None, size=420, special=SPECIAL, alphabet=None, **model):
    t = Tokenizer(models.BPE(**model))
    if pre_tokenizer:
        t.pre_tokenizer = pre_tokenizer
    if normalizer:
        t.normalizer = normalizer
    if decoder:
        t.decoder = decoder
    unk = [model["unk_token"]] if "unk_token" in model else []
    extra = {k: model[k] for k in ("continuing_subword_prefix", "end_of_word_suffix") if k in model}
    t.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=size, special_tokens=unk + special, show_progress=False,
                                                      initial_alphabet=alphabet or [], **extra))
    return t


def byte_level(pre_tokenizer, normalizer=None, **kw):
    return train(pre_tokenizer, normalizer, dec.ByteLevel(), 500, alphabet=pre.ByteLevel.alphabet(), **kw)


def edit(tokenizer, change):
    """The tokenizer with its tokenizer.json changed by a function."""
    d = json.loads(tokenizer.to_str())
    change(d)
    return Tokenizer.from_str(json.dumps(d))


def template(t):
    bos = t.token_to_id("<s>")
    t.post_processor = post.TemplateProcessing(single="<s> $A </s>", pair="<s> $A </s> $B", special_tokens=[("<s>", bos), ("</s>", t.token_to_id("</s>"))])
    return t


def sentencepiece(normalizer, pre_tokenizer, decoder, fuse_unk=True, with_bytes=True):
    """Byte fallback as converted from SentencePiece: byte tokens come first, merges stay those of training."""
    t = train(pre_tokenizer, normalizer, decoder, 400, unk_token="<unk>", fuse_unk=fuse_unk)

    def add_bytes(d):
        old, vocab = d["model"]["vocab"], {}
        for token in ["<unk>", *SPECIAL] + (["<0x%02X>" % i for i in range(256)] if with_bytes else []) + list(old):
            vocab.setdefault(token, len(vocab))
        d["model"]["vocab"] = vocab
        d["model"]["byte_fallback"] = True
        for a in d["added_tokens"]:
            a["id"] = vocab[a["content"]]
    return edit(t, add_bytes)


LLAMA_DECODER = [dec.Replace("▁", " "), dec.ByteFallback(), dec.Fuse(), dec.Strip(" ", 1, 0)]


def added(t):
    t.add_tokens([AddedToken("<mask>", lstrip=True, rstrip=True, normalized=False), AddedToken("word", single_word=True, normalized=False),
                  AddedToken("Day", normalized=True), AddedToken("[day]", normalized=False), AddedToken("monday", rstrip=True),
                  AddedToken("!?", lstrip=True), AddedToken("  ", normalized=False)])
    return t


def overlapping(t):
    """Tokens that take each other's white space; a token that is a special one's text once it is normalised."""
    t.add_tokens([AddedToken("\n", lstrip=True, rstrip=True, normalized=False), AddedToken(" ", rstrip=True, normalized=False), AddedToken("MONDAY", normalized=True),
                  AddedToken("monday", normalized=False, special=True)])
    return t


def split(pattern, behavior, invert=False):
    return pre.Split(Regex(pattern) if isinstance(pattern, str) else pattern[0], behavior, invert)


def variants():
    yield "gpt2", byte_level(pre.ByteLevel(add_prefix_space=False))
    yield "gpt2_prefix_space", template(byte_level(pre.ByteLevel(add_prefix_space=True)))
    seq = pre.Sequence([split(GPT4, "isolated"), pre.ByteLevel(add_prefix_space=False, use_regex=False)])
    llama3 = template(byte_level(seq, ignore_merges=True))
    llama3.post_processor = post.Sequence([post.ByteLevel(), llama3.post_processor])
    yield "llama3", llama3
    yield "qwen2", byte_level(pre.Sequence([split(QWEN, "isolated"), pre.ByteLevel(add_prefix_space=False, use_regex=False)]), norm.NFC())
    yield "o200k", byte_level(pre.Sequence([split(O200K, "isolated"), pre.ByteLevel(add_prefix_space=False, use_regex=False)]))
    yield "removed_inverted", byte_level(pre.Sequence([split(GPT4, "removed", True), pre.ByteLevel(add_prefix_space=False, use_regex=False)]))
    yield "falcon", byte_level(pre.Sequence([pre.Punctuation("contiguous"), pre.ByteLevel(add_prefix_space=False), pre.Digits(), split("[0-9][0-9][0-9]", "isolated")]))
    yield "deepseek", byte_level(pre.Sequence([split("[\r\n]", "isolated"), split(r"\s?\p{L}+", "isolated"), split(r"\s?\p{P}+", "isolated"), split(r"\s+$", "isolated"),
                                               split("[一-龥]+", "isolated"), pre.Digits(individual_digits=True), pre.ByteLevel(add_prefix_space=False, use_regex=False)]))
    yield "merged", byte_level(pre.Sequence([split(r"\s", "merged_with_next"), split(r"[aeiou]", "merged_with_previous"), split(("l",), "contiguous"),
                                             pre.ByteLevel(add_prefix_space=False, use_regex=False)]))
    yield "regex_words", byte_level(pre.Sequence([split(r"\b\w+\b", "isolated"), split(r"[^\W\d]+|\D", "merged_with_next", True) if False else split(r"\d{1,2}+", "isolated"),
                                                  split(r"(?m:a.)|\h", "isolated"), pre.ByteLevel(add_prefix_space=False, use_regex=False)]))
    yield "bloom", byte_level(pre.Sequence([split(r" ?[^(\s|[.,!?…。，、।۔،])]+", "isolated"), pre.ByteLevel(add_prefix_space=False, use_regex=False)]))
    yield "class_sets", byte_level(pre.Sequence([split(r"\p{Han}+|[\p{L}\p{M}&&[^\p{Han}]]+(?i:'s)?|[a-c[^\p{L}\s]]{2}|[^\s&&[^\n]]", "isolated"),
                                                 pre.ByteLevel(add_prefix_space=False, use_regex=False)]))
    yield "byte_level_normalizer", train(None, norm.Sequence([norm.NFC(), norm.ByteLevel()]), dec.ByteLevel(), 500, alphabet=pre.ByteLevel.alphabet())
    legacy = norm.Sequence([norm.Prepend("▁"), norm.Replace(" ", "▁")])
    yield "llama2", template(sentencepiece(legacy, None, dec.Sequence(LLAMA_DECODER)))
    yield "llama2_unfused", sentencepiece(legacy, None, dec.Sequence(LLAMA_DECODER), fuse_unk=False, with_bytes=False)
    yield "gemma", sentencepiece(norm.Replace(" ", "▁"), pre.Split(" ", "merged_with_previous"), dec.Sequence([dec.Replace("▁", " "), dec.ByteFallback(), dec.Fuse()]))
    for scheme in ("always", "first", "never"):
        yield "metaspace_" + scheme, added(sentencepiece(None, pre.Metaspace("▁", scheme, split=scheme != "never"),
                                                         dec.Sequence([dec.ByteFallback(), dec.Metaspace("▁", scheme)])))
    yield "added", added(byte_level(pre.ByteLevel(add_prefix_space=False)))
    yield "added_lowercase", added(byte_level(pre.ByteLevel(add_prefix_space=False), norm.Lowercase()))
    yield "words", train(pre.Sequence([pre.Whitespace(), pre.Digits(individual_digits=False)]), norm.Sequence([norm.NFD(), norm.StripAccents(), norm.Lowercase()]),
                         None, unk_token="<unk>")
    yield "suffix", train(pre.WhitespaceSplit(), norm.Sequence([norm.Strip(True, True), norm.NFKC()]), dec.BPEDecoder("</w>"), unk_token="<unk>", end_of_word_suffix="</w>")
    yield "prefix", train(pre.Sequence([pre.WhitespaceSplit(), pre.Punctuation("isolated")]), norm.NFKD(), dec.WordPiece("##", True), unk_token="<unk>",
                          continuing_subword_prefix="##")
    yield "delimiter", train(pre.Sequence([pre.CharDelimiterSplit(","), pre.FixedLength(4)]), norm.Nmt(), dec.Fuse(), unk_token="<unk>", fuse_unk=True)
    yield "roberta", roberta()
    yield "replace_regex", byte_level(pre.ByteLevel(add_prefix_space=False), norm.Sequence([norm.Replace(Regex(r"\s+"), " "), norm.Replace(Regex("[0-9]"), "")]))
    strip_end = sentencepiece(legacy, None, dec.Sequence([dec.ByteFallback(), dec.Fuse(), dec.Replace("▁", " "), dec.Replace(Regex("  +"), " "), dec.Strip(" ", 2, 2)]))
    yield "decoder_regex", strip_end
    yield "no_decoder", train(pre.Whitespace(), None, None)
    yield "overlap", overlapping(train(split(r"\w+|[^\w\s]+", "isolated"), norm.Lowercase(), dec.Sequence([dec.Replace("", "|"), dec.Replace(Regex("x*"), "-")])))
    yield "ctc", train(split(("",), "isolated"), norm.Replace("", "\u200b"), dec.CTC("a", "e", True))


def roberta():
    t = byte_level(pre.ByteLevel(add_prefix_space=False))
    t.post_processor = post.RobertaProcessing(("</s>", t.token_to_id("</s>")), ("<s>", t.token_to_id("<s>")))
    return t


def attempt(fn, *args, **kw):
    try:
        return fn(*args, **kw)
    except BaseException:  # the package panics on some inputs: no oracle there
        return None


def record(t, rng):
    cases, decodings = [], []
    for text in TEXTS:
        case = {"text": text, "ids": t.encode(text, add_special_tokens=False).ids, "ids_special": t.encode(text).ids}
        t.encode_special_tokens = True
        case["ids_plain"] = t.encode(text, add_special_tokens=False).ids
        t.encode_special_tokens = False
        cases.append(case)
        decodings.append(case["ids_special"])
    top = max(t.get_vocab(True).values())
    decodings += [[rng.randint(0, top + 3) for _ in range(rng.randint(1, 12))] for _ in range(40)]
    out = []
    for ids in decodings:
        text, skipped = (attempt(t.decode, ids, skip_special_tokens=skip) for skip in (False, True))
        if text is not None and skipped is not None:
            out.append({"ids": ids, "text": text, "skipped": skipped})
    return {"tokenizer": json.loads(t.to_str()), "cases": cases, "decodings": out}


def main():
    out_dir, bare = sys.argv[1], "--bare" in sys.argv
    os.makedirs(out_dir, exist_ok=True)
    for name, t in variants():
        value = json.loads(t.to_str()) if bare else record(t, random.Random(name))
        with open(os.path.join(out_dir, name + ".json"), "w") as f:
            json.dump(value, f, ensure_ascii=False, separators=(",", ":"))
            f.write("\n")


main()
