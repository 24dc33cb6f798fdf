// A walk over heads: how many values are still to come never exceeds the bytes that are left. Format: the MessagePack
// specification.
#include "tools/kv/msgpack_check.h"
#include <errno.h>
#include <stdint.h>

// 0xc0 to 0xdf: bytes of a number after the head, which is a length or a count; bytes of fixed contents; what follows
// the number.
enum tail { TAIL_NONE, TAIL_BYTES, TAIL_EXT, TAIL_ARRAY, TAIL_MAP, TAIL_NEVER };
static const struct head {
    uint8_t n_number, n_fixed;
    uint8_t tail;
} heads[32] = {
    { 0, 0, TAIL_NONE },  { 0, 0, TAIL_NEVER }, { 0, 0, TAIL_NONE },  { 0, 0, TAIL_NONE }, // nil, -, false, true
    { 1, 0, TAIL_BYTES }, { 2, 0, TAIL_BYTES }, { 4, 0, TAIL_BYTES },                      // bin
    { 1, 0, TAIL_EXT },   { 2, 0, TAIL_EXT },   { 4, 0, TAIL_EXT },                        // ext
    { 0, 4, TAIL_NONE },  { 0, 8, TAIL_NONE },                                             // float
    { 0, 1, TAIL_NONE },  { 0, 2, TAIL_NONE },  { 0, 4, TAIL_NONE },  { 0, 8, TAIL_NONE }, // uint
    { 0, 1, TAIL_NONE },  { 0, 2, TAIL_NONE },  { 0, 4, TAIL_NONE },  { 0, 8, TAIL_NONE }, // int
    { 0, 2, TAIL_NONE },  { 0, 3, TAIL_NONE },  { 0, 5, TAIL_NONE },  { 0, 9, TAIL_NONE }, // fixext 1 2 4 8
    { 0, 17, TAIL_NONE },                                                                  // fixext 16
    { 1, 0, TAIL_BYTES }, { 2, 0, TAIL_BYTES }, { 4, 0, TAIL_BYTES },                      // str
    { 2, 0, TAIL_ARRAY }, { 4, 0, TAIL_ARRAY }, { 2, 0, TAIL_MAP },   { 4, 0, TAIL_MAP },
};

// The value at the front: its bytes without children, and how many values follow as its children. False: cut off.
static bool measure(struct str in, size_t *ret_bytes, uint64_t *ret_children)
{
    uint8_t first = (uint8_t)in.ptr[0];
    *ret_bytes = 1;
    *ret_children = 0;
    if (first < 0x80 || first >= 0xe0) {
        return true;
    }
    if (first < 0xa0) {
        *ret_children = (first & 15u) * (first < 0x90 ? 2u : 1u);
        return true;
    }
    if (first < 0xc0) {
        *ret_bytes += first & 31u;
        return *ret_bytes <= in.len;
    }
    const struct head *head = &heads[first - 0xc0];
    uint64_t number = 0;
    if (head->tail == TAIL_NEVER || in.len < 1u + head->n_number) {
        return false;
    }
    for (size_t i = 0; i < head->n_number; i++) {
        number = number << 8 | (uint8_t)in.ptr[1 + i];
    }
    *ret_bytes += head->n_number + head->n_fixed;
    *ret_bytes += head->tail == TAIL_BYTES ? number : head->tail == TAIL_EXT ? number + 1 : 0;
    *ret_children = head->tail == TAIL_ARRAY ? number : head->tail == TAIL_MAP ? 2 * number : 0;
    return *ret_bytes <= in.len;
}

int msgpack_check(struct str bytes, struct err *err)
{
    struct str rest = bytes;
    for (uint64_t n_values = 1; n_values > 0; n_values--) {
        size_t n_bytes;
        uint64_t n_children;
        if (n_values > rest.len || !measure(rest, &n_bytes, &n_children)) {
            return err_set(err, -EINVAL, "not a msgpack value: it ends within byte %zu of %zu", bytes.len - rest.len,
                           bytes.len);
        }
        n_values += n_children;
        rest = str_skip(rest, n_bytes);
    }
    return rest.len == 0 ? 0 : err_set(err, -EINVAL, "%zu bytes after the end of the msgpack value", rest.len);
}
