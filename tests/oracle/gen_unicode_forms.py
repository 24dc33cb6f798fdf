#!/usr/bin/env python3
"""Writes engine/text/unicode_form_data.h: where Hugging Face's `tokenizers` and utf8proc differ about characters.

The package normalises with an older Unicode version than utf8proc has and lowers case with a newer one. Each difference is
measured through the package, character by character.

    gen_unicode_forms.py OUTPUT
"""
import ctypes
import ctypes.util
import sys

from tokenizers import normalizers

POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]


def utf8proc():
    """Combining class and compatibility decomposition of each character, by the library."""
    lib = ctypes.CDLL(ctypes.util.find_library("utf8proc"))
    lib.utf8proc_decompose_char.restype = ctypes.c_ssize_t
    lib.utf8proc_tolower.restype = ctypes.c_int32
    lib.utf8proc_get_property.restype = ctypes.POINTER(ctypes.c_uint16)  # category, combining class, ...

    def decomposed(c, compat):
        out = (ctypes.c_int32 * 64)()
        boundary = ctypes.c_int()
        n = lib.utf8proc_decompose_char(c, out, 64, (1 << 1) | (1 << 4) | ((1 << 2) if compat else 0), ctypes.byref(boundary))
        return list(out[:n])

    return (lambda c: lib.utf8proc_get_property(c)[1], decomposed, lib.utf8proc_tolower)


def unknown_to_forms(combining_class, decomposed):
    """Characters that utf8proc orders, decomposes or composes, and the package leaves where they are."""
    nfd, nfkd = normalizers.NFD(), normalizers.NFKD()
    found = set()
    for c in POINTS:
        # U+0345 has the highest class: any character with a class of its own moves before it.
        if combining_class(c) and c != 0x345 and nfd.normalize_str("a\u0345" + chr(c)) == "a\u0345" + chr(c):
            found.add(c)
        canonical, compat = decomposed(c, False), decomposed(c, True)
        if compat != [c] and nfkd.normalize_str(chr(c)) == chr(c):
            found.add(c)
            if canonical != [c]:
                found.update(canonical)
    return found


def mark_differences(marks):
    """Points about which the category (M or not) and StripAccents disagree."""
    strip = normalizers.StripAccents()
    return {c for c in POINTS if (strip.normalize_str(chr(c)) == "") != (c in marks)}


def lower_pairs(tolower):
    lower = normalizers.Lowercase()
    pairs = []
    for c in POINTS:
        want = lower.normalize_str(chr(c))
        if len(want) == 1 and ord(want) != tolower(c):
            pairs.append((c, ord(want)))
    return pairs


def ranges(points):
    out = []
    for c in sorted(points):
        if out and out[-1][1] == c - 1:
            out[-1][1] = c
        else:
            out.append([c, c])
    return out


def table(f, comment, name, pairs):
    f.write(f"// {comment}\nstatic const uint32_t {name}[][2] = {{\n")
    items = ["{ 0x%x, 0x%x }" % tuple(p) for p in pairs]
    for i in range(0, len(items), 5):
        f.write("    " + ", ".join(items[i:i + 5]) + ",\n")
    f.write("};\n")


def main():
    from tokenizers import Regex, pre_tokenizers
    split = pre_tokenizers.Split(Regex(r"\p{M}"), "removed", invert=True)
    marks = {c for _, (a, b) in split.pre_tokenize_str("".join(map(chr, POINTS))) for c in POINTS[a:b]}
    combining_class, decomposed, tolower = utf8proc()
    with open(sys.argv[1], "w") as f:
        f.write("// Written by tests/oracle/gen_unicode_forms.py; do not edit.\n// clang-format off\n")
        table(f, "Characters that no Unicode form orders, decomposes or composes. First and last of each range.",
              "unicode_form_unknown", ranges(unknown_to_forms(combining_class, decomposed)))
        table(f, "Marks that StripAccents keeps, and others that it takes away.", "unicode_mark_differs", ranges(mark_differences(marks)))
        table(f, "Characters and their lower case, where utf8proc has another.", "unicode_lower", lower_pairs(tolower))


main()
