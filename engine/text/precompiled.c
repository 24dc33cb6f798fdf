// Layout of the decoded map (SentencePiece's normalizer): u32 size of the trie in bytes, the trie's u32 units, then
// NUL-terminated replacement texts that the trie's values index. All little endian. A unit, as in the darts-clone
// double array:
//
//   leaf: bit 31 and a 31-bit value     node: bits 0-7 and 31 label, bit 8 has a leaf, bits 10.. offset << (bit 9 ? 8 :
//   0)
//
// Owned by its normalizer step; immutable. Every index is checked: the file is not trusted.
#include "engine/text/precompiled.h"

#include "engine/base/utf8.h"
#include "engine/text/codepoint.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#define CLUSTER_MAX 6 // clusters of this many bytes or more are mapped character by character

struct precompiled {
    char *bytes;
    uint32_t n_units;
    struct str texts;
};

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

// Number of bytes, or -1. `out` has room for 3/4 of the text.
static ptrdiff_t base64_decode(struct str s, char *out)
{
    while (s.len > 0 && s.ptr[s.len - 1] == '=') {
        s.len--;
    }
    uint32_t bits = 0;
    int n_bits = 0;
    ptrdiff_t n = 0;
    for (size_t i = 0; i < s.len; i++) {
        int value = base64_value(s.ptr[i]);
        if (value < 0) {
            return -1;
        }
        bits = bits << 6 | (uint32_t)value;
        n_bits += 6;
        if (n_bits >= 8) {
            n_bits -= 8;
            out[n++] = (char)(bits >> n_bits);
        }
    }
    return n;
}

static uint32_t unit_at(const struct precompiled *map, uint32_t idx)
{
    uint32_t unit;
    memcpy(&unit, map->bytes + 4 + 4 * (size_t)idx, 4);
    return unit;
}

int precompiled_new(struct str base64, const char *where, struct precompiled **ret, struct err *err)
{
    struct precompiled *map = calloc(1, sizeof *map);
    char *bytes = malloc(base64.len + 1);
    if (!map || !bytes) {
        free(map);
        free(bytes);
        return -ENOMEM;
    }
    map->bytes = bytes;
    ptrdiff_t n = base64_decode(base64, bytes);
    uint32_t trie_bytes = 0;
    if (n >= 8) {
        memcpy(&trie_bytes, bytes, 4);
    }
    if (trie_bytes < 4 || trie_bytes % 4 != 0 || trie_bytes > (size_t)n - 4) {
        precompiled_free(map);
        return err_set(err, -EINVAL, "%s.precompiled_charsmap: %s", where,
                       n < 0 ? "not base64" : "the trie's size does not fit the map's");
    }
    map->n_units = trie_bytes / 4;
    map->texts = (struct str){ bytes + 4 + trie_bytes, (size_t)n - 4 - trie_bytes };
    if (utf8_valid_len(map->texts) != map->texts.len) {
        precompiled_free(map);
        return err_set(err, -EINVAL, "%s.precompiled_charsmap: ill-formed UTF-8 in the replacements", where);
    }
    *ret = map;
    return 0;
}

void precompiled_free(struct precompiled *map)
{
    if (map) {
        free(map->bytes);
        free(map);
    }
}

static uint32_t unit_offset(uint32_t unit)
{
    return (unit >> 10) << ((unit & (1u << 9)) >> 6);
}

// The text of the shortest key that `s` begins with.
static bool find(const struct precompiled *map, struct str s, struct str *ret)
{
    uint32_t at = unit_offset(unit_at(map, 0));
    for (size_t i = 0; i < s.len && s.ptr[i] != 0; i++) {
        at ^= (uint8_t)s.ptr[i];
        if (at >= map->n_units) {
            return false;
        }
        uint32_t unit = unit_at(map, at);
        if ((unit & (1u << 31 | 0xff)) != (uint8_t)s.ptr[i]) {
            return false;
        }
        at ^= unit_offset(unit);
        if (at >= map->n_units) {
            return false;
        }
        if (unit >> 8 & 1) {
            struct str text = str_skip(map->texts, unit_at(map, at) & 0x7fffffff);
            const char *end = text.len ? memchr(text.ptr, 0, text.len) : NULL;
            *ret = str_take(text, end ? (size_t)(end - text.ptr) : text.len);
            return true;
        }
    }
    return false;
}

static size_t cluster_end(struct str text, size_t at)
{
    const uint8_t *p = (const uint8_t *)text.ptr;
    uint32_t c, next;
    int32_t state = 0;
    size_t end = at + codepoint_next(p + at, &c);
    while (end < text.len) {
        size_t n = codepoint_next(p + end, &next);
        if (utf8proc_grapheme_break_stateful((int32_t)c, (int32_t)next, &state)) {
            break;
        }
        end += n;
        c = next;
    }
    return end;
}

int precompiled_append(const struct precompiled *map, struct str text, struct strbuf *out)
{
    int r = 0;
    for (size_t at = 0, end; at < text.len && r == 0; at = end) {
        struct str mapped;
        end = cluster_end(text, at);
        if (end - at < CLUSTER_MAX && find(map, (struct str){ text.ptr + at, end - at }, &mapped)) {
            r = strbuf_append(out, mapped);
            continue;
        }
        for (size_t i = at, n; i < end && r == 0; i += n) {
            n = codepoint_len((uint8_t)text.ptr[i]);
            struct str c = { text.ptr + i, n };
            r = strbuf_append(out, find(map, c, &mapped) ? mapped : c);
        }
    }
    return r;
}
