// The byte-level alphabet, computed rather than tabled: see the header. Stateless.
#include "engine/text/byte_level.h"

#include "engine/base/utf8.h"
#include "engine/text/codepoint.h"

static bool is_printable(uint32_t c)
{
    return (c >= 0x21 && c <= 0x7e) || (c >= 0xa1 && c <= 0xac) || (c >= 0xae && c <= 0xff);
}

uint32_t byte_level_codepoint(uint8_t byte)
{
    if (is_printable(byte)) {
        return byte;
    }
    // 0x00-0x20, 0x7f-0xa0, 0xad, numbered in order
    return 0x100u + (byte <= 0x20 ? byte : byte <= 0xa0 ? byte - 0x7fu + 33 : 67u);
}

int byte_level_byte(uint32_t codepoint)
{
    if (codepoint < 0x100) {
        return is_printable(codepoint) ? (int)codepoint : -1;
    }
    if (codepoint > 0x143) {
        return -1;
    }
    int n = (int)codepoint - 0x100;
    return n <= 0x20 ? n : n <= 66 ? n - 33 + 0x7f : 0xad;
}

int byte_level_append_written(struct strbuf *out, struct str bytes)
{
    int r = strbuf_reserve(out, bytes.len * 2);
    for (size_t i = 0; i < bytes.len && r == 0; i++) {
        char c[4];
        size_t n = utf8_encode(byte_level_codepoint((uint8_t)bytes.ptr[i]), c);
        r = strbuf_append(out, (struct str){ c, n });
    }
    return r;
}

ptrdiff_t byte_level_read(struct str written, char *out)
{
    const uint8_t *p = (const uint8_t *)written.ptr;
    ptrdiff_t n = 0;
    for (size_t i = 0; i < written.len;) {
        uint32_t c;
        i += codepoint_next(p + i, &c);
        int byte = byte_level_byte(c);
        if (byte < 0) {
            return -1;
        }
        out[n++] = (char)byte;
    }
    return n;
}
