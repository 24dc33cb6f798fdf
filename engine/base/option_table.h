// The options of a program as a table: a row says how an option is written, what its value may be, and where it goes.
// What getopt_long is to know of them is made of the rows.
//
//   option_longs, getopt_long --> option_row_of --> option_take    in a loop of the program's own
//
// Values are spelled as in option.h, which has the words for bad ones.
#ifndef TOKFS_BASE_OPTION_TABLE_H
#define TOKFS_BASE_OPTION_TABLE_H

#include "engine/base/option.h"
#include "engine/base/str.h"
#include <getopt.h>
#include <stddef.h>

#define OPTION_ROWS_MAX 64

enum option_kind {
    OPTION_SET,    // no value; bool at offset becomes true
    OPTION_TEXT,   // not empty; const char *, borrowed
    OPTION_U32,    // a whole number from min to max; uint32_t or unsigned
    OPTION_U64,    // likewise; uint64_t or size_t
    OPTION_REAL,   // above 0, up to max; double
    OPTION_BYTES,  // from 1; uint64_t
    OPTION_CHOICE, // one of choices; const char *, borrowed
    OPTION_INDEX,  // likewise, its place among them; an enum or unsigned
    OPTION_TAKE,   // `take` does it
};

struct option_row {
    const char *name; // without its dashes; NULL: it has a letter alone
    enum option_kind kind;
    size_t offset; // in the program's struct of options
    int64_t min, max;
    const char *const *choices; // NULL at the end
    int (*take)(const struct option_row *row, void *options, const char *value, struct err *err);
    char letter;       // "-h"; 0: none
    bool may_repeat;   // in a table that refuses repeats
    const char *needs; // names with spaces between them: it has no meaning without one of these; NULL: it has
};

struct option_table {
    const struct option_row *rows; // [n_rows], at most OPTION_ROWS_MAX
    size_t n_rows;
    bool refuses_repeats; // of options with a value: a later one would replace it without a word
};

// For getopt_long: every row with a name, and a zeroed one at the end.
void option_longs(const struct option_table *table, struct option ret[OPTION_ROWS_MAX + 1]);
// Of what getopt_long returned; NULL: no row has it.
const struct option_row *option_row_of(const struct option_table *table, int opt);
const struct option_row *option_find(const struct option_table *table, struct str name); // NULL: none has it
bool option_has_value(const struct option_row *row);
// *given: a bit for each row that was taken. -EINVAL with err.
int option_take(const struct option_table *table, const struct option_row *row, const char *value, void *options,
                uint64_t *given, struct err *err);
bool option_is_given(const struct option_table *table, uint64_t given, const char *names); // one of these
// The first row that was given without what it needs; NULL: there is none.
const struct option_row *option_alone(const struct option_table *table, uint64_t given);
int option_refuse_alone(const struct option_row *row, struct err *err); // "--a needs --b, --c or --d": -EINVAL
static inline void *option_place(const struct option_row *row, void *options)
{
    return (char *)options + row->offset;
}

#endif
