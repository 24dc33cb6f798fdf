// Rows are looked for one after the other: there are some dozens.
#include "engine/base/option_table.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define FIRST_LONG 256 // what getopt_long returns for the first row, where it has no letter

static int value_of(const struct option_table *table, const struct option_row *row)
{
    return row->letter ? row->letter : FIRST_LONG + (int)(row - table->rows);
}

bool option_has_value(const struct option_row *row)
{
    return row->kind != OPTION_SET;
}

void option_longs(const struct option_table *table, struct option ret[OPTION_ROWS_MAX + 1])
{
    size_t n = 0;
    assert(table->n_rows <= OPTION_ROWS_MAX);
    for (size_t i = 0; i < table->n_rows; i++) {
        const struct option_row *row = &table->rows[i];
        if (row->name) {
            ret[n++] = (struct option){ row->name, option_has_value(row) ? required_argument : no_argument, NULL,
                                        value_of(table, row) };
        }
    }
    ret[n] = (struct option){ 0 };
}

const struct option_row *option_row_of(const struct option_table *table, int opt)
{
    for (size_t i = 0; i < table->n_rows; i++) {
        if (value_of(table, &table->rows[i]) == opt) {
            return &table->rows[i];
        }
    }
    return NULL;
}

const struct option_row *option_find(const struct option_table *table, struct str name)
{
    for (size_t i = 0; i < table->n_rows; i++) {
        if (table->rows[i].name && str_eq(str_from(table->rows[i].name), name)) {
            return &table->rows[i];
        }
    }
    return NULL;
}

// ---- values --------------------------------------------------------------------------------------------------------

static int take_whole(const struct option_row *row, const char *value, void *place, struct err *err)
{
    int64_t n;
    int r = option_whole(row->name, value, row->min, row->max, &n, err);
    if (r == 0 && row->kind == OPTION_U32) {
        memcpy(place, &(uint32_t){ (uint32_t)n }, sizeof(uint32_t));
    } else if (r == 0) {
        memcpy(place, &(uint64_t){ (uint64_t)n }, sizeof(uint64_t));
    }
    return r;
}

static int take_choice(const struct option_row *row, const char *value, void *place, struct err *err)
{
    unsigned idx;
    int r = option_choice(row->name, value, row->choices, &idx, err);
    if (r == 0 && row->kind == OPTION_INDEX) {
        memcpy(place, &idx, sizeof(idx));
    } else if (r == 0) {
        *(const char **)place = value;
    }
    return r;
}

static int take_value(const struct option_row *row, const char *value, void *options, struct err *err)
{
    void *place = option_place(row, options);
    switch (row->kind) {
    case OPTION_SET: *(bool *)place = true; return 0;
    case OPTION_TEXT: return option_text(row->name, value, place, err);
    case OPTION_U32:
    case OPTION_U64: return take_whole(row, value, place, err);
    case OPTION_REAL: return option_real(row->name, value, false, (double)row->max, place, err);
    case OPTION_BYTES: return option_bytes(row->name, value, place, err);
    case OPTION_CHOICE:
    case OPTION_INDEX: return take_choice(row, value, place, err);
    case OPTION_TAKE: return row->take(row, options, value, err);
    }
    return -EINVAL;
}

int option_take(const struct option_table *table, const struct option_row *row, const char *value, void *options,
                uint64_t *given, struct err *err)
{
    uint64_t bit = 1ull << (row - table->rows);
    if (table->refuses_repeats && option_has_value(row) && !row->may_repeat && *given & bit) {
        return err_set(err, -EINVAL, "--%s is given twice", row->name);
    }
    *given |= bit;
    return take_value(row, value, options, err);
}

// ---- what needs others ---------------------------------------------------------------------------------------------

bool option_is_given(const struct option_table *table, uint64_t given, const char *names)
{
    struct str rest = str_from(names), name;
    while (rest.len > 0) {
        rest = str_cut(rest, ' ', &name);
        const struct option_row *row = option_find(table, name);
        assert(row);
        if (given >> (row - table->rows) & 1) {
            return true;
        }
    }
    return false;
}

const struct option_row *option_alone(const struct option_table *table, uint64_t given)
{
    for (size_t i = 0; i < table->n_rows; i++) {
        const struct option_row *row = &table->rows[i];
        if (given >> i & 1 && row->needs && !option_is_given(table, given, row->needs)) {
            return row;
        }
    }
    return NULL;
}

int option_refuse_alone(const struct option_row *row, struct err *err)
{
    struct str rest = str_from(row->needs), name;
    char list[200];
    size_t n = 0;
    while (rest.len > 0) {
        rest = str_cut(rest, ' ', &name);
        const char *joint = n == 0 ? "" : rest.len == 0 ? " or " : ", ";
        n += (size_t)snprintf(list + n, sizeof(list) - n, "%s--%.*s", joint, STR_ARG(name));
        assert(n < sizeof(list));
    }
    return err_set(err, -EINVAL, "--%s needs %s", row->name, list);
}
