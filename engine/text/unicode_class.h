// Character classes of the pre-tokenizers: general category, white space, word, punctuation, number.
//
// Classes are those that Hugging Face's library sees (unicode_class_data.h tells how they were measured), not those of
// the installed Unicode libraries: token ids depend on them.
#ifndef TOKFS_TEXT_UNICODE_CLASS_H
#define TOKFS_TEXT_UNICODE_CLASS_H

#include "engine/base/str.h"

// One byte per code point: the category in the low five bits, then three flags.
enum unicode_category {
    UNICODE_CN,
    UNICODE_LU,
    UNICODE_LL,
    UNICODE_LT,
    UNICODE_LM,
    UNICODE_LO,
    UNICODE_MN,
    UNICODE_MC,
    UNICODE_ME,
    UNICODE_ND,
    UNICODE_NL,
    UNICODE_NO,
    UNICODE_PC,
    UNICODE_PD,
    UNICODE_PS,
    UNICODE_PE,
    UNICODE_PI,
    UNICODE_PF,
    UNICODE_PO,
    UNICODE_SM,
    UNICODE_SC,
    UNICODE_SK,
    UNICODE_SO,
    UNICODE_ZS,
    UNICODE_ZL,
    UNICODE_ZP,
    UNICODE_CC,
    UNICODE_CF,
    UNICODE_CO,
    UNICODE_CONTROL_SPACE, // white space whose category is Cc: tab, line feed, ..., U+0085
};
enum { UNICODE_IS_WORD = 0x20, UNICODE_IS_PUNCT = 0x40, UNICODE_IS_NUMERIC = 0x80 };

// Sets of categories.
#define UNICODE_SET(category) (1u << UNICODE_##category)
#define UNICODE_SET_L         (UNICODE_SET(LU) | UNICODE_SET(LL) | UNICODE_SET(LT) | UNICODE_SET(LM) | UNICODE_SET(LO))
#define UNICODE_SET_M         (UNICODE_SET(MN) | UNICODE_SET(MC) | UNICODE_SET(ME))
#define UNICODE_SET_N         (UNICODE_SET(ND) | UNICODE_SET(NL) | UNICODE_SET(NO))
#define UNICODE_SET_Z         (UNICODE_SET(ZS) | UNICODE_SET(ZL) | UNICODE_SET(ZP))
#define UNICODE_SET_SPACE     (UNICODE_SET_Z | UNICODE_SET(CONTROL_SPACE))

#define UNICODE_BLOCKS_MAX 1024

struct unicode_table {
    uint16_t block_of[0x110000 >> 8];
    uint16_t n_blocks;
    uint8_t blocks[UNICODE_BLOCKS_MAX][256]; // block 0 holds U+0000..U+00FF
};

void unicode_table_init(struct unicode_table *table);

static inline uint8_t unicode_class(const struct unicode_table *table, uint32_t codepoint)
{
    return table->blocks[table->block_of[codepoint >> 8]][codepoint & 255];
}

static inline bool unicode_class_in(uint8_t class_byte, uint32_t set)
{
    return (set >> (class_byte & 31) & 1) != 0;
}

static inline bool unicode_is_space(const struct unicode_table *table, uint32_t codepoint)
{
    return unicode_class_in(unicode_class(table, codepoint), UNICODE_SET_SPACE);
}

// Set of a property name as \p{...} has it ("L", "Lu", "Nd", "P"); 0 for a name that is not a category. A name of one
// letter is the union of its categories.
uint32_t unicode_set_by_name(struct str name);

// Calls fn for each maximal range of code points (surrogates excluded) whose category is in `set`.
void unicode_for_ranges(const struct unicode_table *table, uint32_t set,
                        void (*fn)(void *ctx, uint32_t first, uint32_t last), void *ctx);
// The same, restricted to points that Unicode 14 did not know.
void unicode_for_newer_ranges(const struct unicode_table *table, uint32_t set,
                              void (*fn)(void *ctx, uint32_t first, uint32_t last), void *ctx);

#endif
