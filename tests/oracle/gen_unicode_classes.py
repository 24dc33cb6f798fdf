#!/usr/bin/env python3
"""Writes engine/text/unicode_class_data.h: character classes as Hugging Face's `tokenizers` sees them.

That library looks characters up in four tables of different Unicode versions (the regex engine's general categories, Rust's
numeric characters, an older punctuation table, the word characters of a second regex engine). Ids can only be equal when the
classes are, so they are measured through the package instead of being taken from one Unicode version.

    gen_unicode_classes.py OUTPUT
"""
import sys
import unicodedata

from tokenizers import Regex, pre_tokenizers

CATEGORIES = ["Cn", "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po",
              "Sm", "Sc", "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Co"]
CONTROL_SPACE = 29  # white space that is Cc: its own code, so that one byte tells white space
WORD, PUNCT, NUMERIC = 0x20, 0x40, 0x80
POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
TEXT = "".join(map(chr, POINTS))


def matched(pattern):
    split = pre_tokenizers.Split(Regex(pattern), "removed", invert=True)
    return {c for _, (a, b) in split.pre_tokenize_str(TEXT) for c in POINTS[a:b]}


def isolated(pre_tokenizer, around):
    """Points that the pre-tokenizer cuts out of a text in which they stand between copies of `around`."""
    found = set()
    for i in range(0, len(POINTS), 20000):
        text = around + around.join(map(chr, POINTS[i:i + 20000])) + around
        for _, (a, b) in pre_tokenizer.pre_tokenize_str(text):
            if b - a == 1 and a % 2 == 1:
                found.add(POINTS[i + (a - 1) // 2])
    return found


def class_bytes():
    value = bytearray(0x110000)
    for code, name in enumerate(CATEGORIES):
        for c in matched(r"\p{%s}" % name):
            value[c] = code
    for c in matched(r"\s"):
        if value[c] == CATEGORIES.index("Cc"):
            value[c] = CONTROL_SPACE
    for bit, points in ((WORD, isolated(pre_tokenizers.Whitespace(), "-")),
                        (PUNCT, isolated(pre_tokenizers.Punctuation(), "a")),
                        (NUMERIC, isolated(pre_tokenizers.Digits(individual_digits=True), "a"))):
        for c in points:
            value[c] |= bit
    return value


def ranges(value):
    out, start = [], 0
    for c in range(1, 0x110001):
        if c == 0x110000 or value[c] != value[start]:
            out.append((start, value[start]))
            start = c
    return out


def newer_ranges(value):
    """Assigned points that Unicode 14 (Debian 12's pcre2) does not know."""
    assert unicodedata.unidata_version == "14.0.0"
    out = []
    for c in range(0x110000):
        if value[c] & 31 and unicodedata.category(chr(c)) == "Cn":
            if out and out[-1][1] == c - 1 and value[out[-1][0]] == value[c]:
                out[-1][1] = c
            else:
                out.append([c, c])
    return out


def main():
    value = class_bytes()
    words = ["0x%06x%02x" % r for r in ranges(value)]
    newer = ["{0x%x, 0x%x}" % tuple(r) for r in newer_ranges(value)]
    with open(sys.argv[1], "w") as f:
        f.write("// Written by tests/oracle/gen_unicode_classes.py; do not edit.\n// clang-format off\n"
                "// (first code point << 8) | class byte, in order; a range ends where the next begins.\n"
                "static const uint32_t unicode_class_ranges[] = {\n")
        for i in range(0, len(words), 10):
            f.write("    " + ", ".join(words[i:i + 10]) + ",\n")
        f.write("};\n// Assigned after Unicode 14: what an older pcre2 has to be told; both ends are members.\n"
                "static const uint32_t unicode_newer_ranges[][2] = {\n")
        for i in range(0, len(newer), 6):
            f.write("    " + ", ".join(newer[i:i + 6]) + ",\n")
        f.write("};\n")


main()
