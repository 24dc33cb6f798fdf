// The class table: built from ranges into two stages (block number by the upper bits, class by the lower eight).
//
// Owned by each tokenizer, immutable after init. Blocks that hold one class throughout are shared, so that about 300 of
// the 4352 blocks take memory.
#include "engine/text/unicode_class.h"

#include "engine/text/unicode_class_data.h"

#include <assert.h>
#include <string.h>

#define N_RANGES (sizeof unicode_class_ranges / sizeof unicode_class_ranges[0])
#define N_NEWER  (sizeof unicode_newer_ranges / sizeof unicode_newer_ranges[0])

static uint32_t range_end(size_t idx)
{
    return idx + 1 < N_RANGES ? unicode_class_ranges[idx + 1] >> 8 : 0x110000;
}

void unicode_table_init(struct unicode_table *table)
{
    int uniform[256]; // block that holds only this class, -1 when there is none yet
    for (int i = 0; i < 256; i++) {
        uniform[i] = -1;
    }
    table->n_blocks = 0;
    size_t idx = 0;
    for (uint32_t first = 0; first < 0x110000; first += 256) {
        while (range_end(idx) <= first) {
            idx++;
        }
        uint8_t class_byte = (uint8_t)unicode_class_ranges[idx];
        bool is_uniform = range_end(idx) >= first + 256;
        if (is_uniform && uniform[class_byte] >= 0) {
            table->block_of[first >> 8] = (uint16_t)uniform[class_byte];
            continue;
        }
        assert(table->n_blocks < UNICODE_BLOCKS_MAX);
        uint8_t *block = table->blocks[table->n_blocks];
        for (uint32_t at = first, i = (uint32_t)idx; at < first + 256; i++) {
            uint32_t end = range_end(i) < first + 256 ? range_end(i) : first + 256;
            memset(block + (at - first), (uint8_t)unicode_class_ranges[i], end - at);
            at = end;
        }
        if (is_uniform) {
            uniform[class_byte] = table->n_blocks;
        }
        table->block_of[first >> 8] = table->n_blocks++;
    }
}

uint32_t unicode_set_by_name(struct str name)
{
    static const char names[][3] = { "Cn", "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd",
                                     "Nl", "No", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sm",
                                     "Sc", "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Co" };
    uint32_t set = 0;
    for (uint32_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if ((name.len == 1 && name.ptr[0] == names[i][0]) || (name.len == 2 && memcmp(name.ptr, names[i], 2) == 0)) {
            set |= 1u << i;
        }
    }
    return set & UNICODE_SET(CC) ? set | UNICODE_SET(CONTROL_SPACE) : set;
}

void unicode_for_ranges(const struct unicode_table *table, uint32_t set,
                        void (*fn)(void *ctx, uint32_t first, uint32_t last), void *ctx)
{
    uint32_t first = 0;
    bool is_open = false;
    for (uint32_t c = 0; c <= 0x110000; c++) {
        bool in = c < 0x110000 && (c < 0xd800 || c > 0xdfff) && unicode_class_in(unicode_class(table, c), set);
        if (in && !is_open) {
            first = c;
        } else if (!in && is_open) {
            fn(ctx, first, c - 1);
        }
        is_open = in;
    }
}

void unicode_for_newer_ranges(const struct unicode_table *table, uint32_t set,
                              void (*fn)(void *ctx, uint32_t first, uint32_t last), void *ctx)
{
    for (size_t i = 0; i < N_NEWER; i++) {
        if (unicode_class_in(unicode_class(table, unicode_newer_ranges[i][0]), set)) {
            fn(ctx, unicode_newer_ranges[i][0], unicode_newer_ranges[i][1]);
        }
    }
}
