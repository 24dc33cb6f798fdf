// Stepping through text that is known to be well-formed UTF-8 (tokenizer_encode checks once, at its door).
#ifndef TOKFS_TEXT_CODEPOINT_H
#define TOKFS_TEXT_CODEPOINT_H

#include <stddef.h>
#include <stdint.h>

// Decodes the character at p, which must be the first byte of a well-formed one; returns its length in bytes (1-4).
static inline size_t codepoint_next(const uint8_t *p, uint32_t *ret_codepoint)
{
    uint32_t lead = p[0];
    if (lead < 0x80) {
        *ret_codepoint = lead;
        return 1;
    }
    if (lead < 0xe0) {
        *ret_codepoint = (lead & 0x1f) << 6 | (p[1] & 0x3fu);
        return 2;
    }
    if (lead < 0xf0) {
        *ret_codepoint = (lead & 0x0f) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu);
        return 3;
    }
    *ret_codepoint = (lead & 7) << 18 | (p[1] & 0x3fu) << 12 | (p[2] & 0x3fu) << 6 | (p[3] & 0x3fu);
    return 4;
}

// Length in bytes of the character that begins with this byte.
static inline size_t codepoint_len(uint8_t lead)
{
    return lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

#endif
