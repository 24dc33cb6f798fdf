// Values of a template at run time, with Python's meaning.
//
// A value is 16 bytes and passed by copy. Strings, lists, tuples and dicts are immutable once built (the sandbox
// forbids changing them), so they are shared freely: a slice of a list points into it. What they point to lives in the
// render's heap, in the compiled template, or in the caller's JSON, all of which outlive the value.
#ifndef TOKFS_TEXT_JINJA_VALUE_H
#define TOKFS_TEXT_JINJA_VALUE_H

#include "engine/base/str.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum value_type {
    V_MISSING, // a slot that was never set; never seen by an expression
    V_UNDEFINED,
    V_NONE,
    V_BOOL,
    V_INT,
    V_FLOAT,
    V_BIGINT, // an integer beyond 64 bits, from JSON: its digits; can be shown and compared, not computed with
    V_STR,
    V_LIST,
    V_TUPLE,
    V_DICT,
    V_RANGE,
    V_VIEW, // dict.keys(), .values(), .items()
    V_ITER, // a generator: consumed once
    V_NAMESPACE,
    V_MACRO,
    V_LOOP,
    V_METHOD,   // bound method
    V_FUNCTION, // global function
    V_OBJECT,   // cycler, joiner
    N_VALUE_TYPES,
};

enum str_flags {
    STR_MARKUP = 1 << 0, // markupsafe.Markup: what is joined to it gets HTML-escaped
    STR_ASCII = 1 << 1,  // known to have one byte per character
};

enum tuple_flags {
    TUPLE_GROUP = 1 << 0, // of the groupby filter: has .grouper and .list
};

enum view_kind { VIEW_KEYS, VIEW_VALUES, VIEW_ITEMS };

struct rt;
struct dict;
struct range;
struct iter_object;
struct namespace;
struct macro;
struct loop_state;
struct method_object;
struct function;
struct undefined;
struct callable_object;

struct value {
    uint8_t type;  // enum value_type
    uint8_t flags; // string: enum str_flags; view: enum view_kind
    uint16_t pad;
    uint32_t len; // string: bytes; list, tuple: items
    union {
        int64_t i; // bool, int
        double f;
        const char *s;             // [len] UTF-8
        const struct value *items; // [len]
        struct dict *dict;         // dict, view
        const struct range *range;
        struct iter_object *iter;
        struct namespace *ns;
        struct macro *macro;
        struct loop_state *loop;
        const struct method_object *method;
        const struct function *function;
        const struct undefined *undefined;
        struct callable_object *object;
    };
};
_Static_assert(sizeof(struct value) == 16, "two registers");

// Why a value is undefined: what the error says when it is used.
struct undefined {
    struct str hint; // whole message, or empty: made of what follows
    struct str name; // variable or attribute
    const char *of;  // type of the object that lacks it; NULL: a variable
    bool is_element; // "has no element" with `name` the key's repr, instead of "has no attribute"
    bool is_unsafe;  // the sandbox hides it
};

struct dict_entry {
    struct value key, value;
};

// Insertion order. The index is built at the first look-up of a larger dict: open addressing, entry number + 1.
struct dict {
    uint32_t n, cap;
    struct dict_entry *entries;
    uint32_t *index; // [index_mask + 1] or NULL
    uint32_t index_mask;
};

struct range {
    int64_t start, stop, step;
    uint32_t n;
};

#define VALUE_NONE     ((struct value){ .type = V_NONE })
#define VALUE_MISSING  ((struct value){ .type = V_MISSING })
#define VALUE_BOOL(b)  ((struct value){ .type = V_BOOL, .i = (b) })
#define VALUE_INT(n)   ((struct value){ .type = V_INT, .i = (n) })
#define VALUE_FLOAT(x) ((struct value){ .type = V_FLOAT, .f = (x) })
#define VALUE_LIT(lit) ((struct value){ .type = V_STR, .flags = STR_ASCII, .len = sizeof(lit) - 1, .s = "" lit })

// Keys, roles and the like are short: two overlapping words decide, without a call.
static inline bool bytes_equal(const char *a, const char *b, size_t n)
{
    uint64_t head[2], tail[2];
    uint32_t first[2], last[2];

    if (n >= 8 && n <= 16) {
        memcpy(&head[0], a, 8);
        memcpy(&head[1], b, 8);
        memcpy(&tail[0], a + n - 8, 8);
        memcpy(&tail[1], b + n - 8, 8);
        return head[0] == head[1] && tail[0] == tail[1];
    }
    if (n >= 4 && n < 8) {
        memcpy(&first[0], a, 4);
        memcpy(&first[1], b, 4);
        memcpy(&last[0], a + n - 4, 4);
        memcpy(&last[1], b + n - 4, 4);
        return first[0] == first[1] && last[0] == last[1];
    }
    return n == 0 || (a[0] == b[0] && memcmp(a, b, n) == 0);
}

static inline struct str value_str(struct value v)
{
    return (struct str){ v.s, v.len };
}

static inline bool value_is_markup(struct value v)
{
    return v.type == V_STR && (v.flags & STR_MARKUP) != 0;
}

static inline bool value_is_number(struct value v)
{
    return v.type == V_INT || v.type == V_BOOL || v.type == V_FLOAT || v.type == V_BIGINT;
}

static inline bool value_is_intlike(struct value v) // has an integer in .i
{
    return v.type == V_INT || v.type == V_BOOL;
}

// "str", "int", "list" ... as Python names the type.
const char *value_type_name(struct value v);

bool value_truth_of_object(struct rt *rt, struct value v);
static inline bool value_truth(struct rt *rt, struct value v)
{
    return v.type == V_BOOL ? v.i != 0 : v.type == V_STR ? v.len != 0 : value_truth_of_object(rt, v);
}
bool value_equal(struct rt *rt, struct value a, struct value b);
// a < b as Python orders them; fails for types without order. `op` is shown in the error.
bool value_less(struct rt *rt, struct value a, struct value b, const char *op);
bool value_is_same(struct value a, struct value b); // `is`
bool value_contains(struct rt *rt, struct value container, struct value item);
int64_t value_len(struct rt *rt, struct value v); // len(); fails for what has none
bool value_has_len(struct value v);

struct dict *dict_new(struct rt *rt, uint32_t cap);
const struct value *dict_get(struct rt *rt, struct dict *dict,
                             struct value key); // NULL: absent; fails for an unhashable key
const struct value *dict_get_str(struct rt *rt, struct dict *dict, struct str key);
void dict_set(struct rt *rt, struct dict *dict, struct value key, struct value value);

// ---- iteration ------------------------------------------------------------------------------------------------------

struct iter {
    struct value source;
    uint32_t pos; // items done; bytes in a string
};

void iter_begin(struct rt *rt, struct iter *it, struct value source); // fails when it is not iterable
bool iter_next(struct rt *rt, struct iter *it, struct value *ret);
bool value_is_iterable(struct value v);
double value_as_double(struct value v); // of a number; infinite beyond the range
bool value_is_hashable(struct rt *rt, struct value v);

// A lazy sequence, as a Python generator: `next` computes the next item from its own state.
struct iter_object {
    bool (*next)(struct rt *rt, struct iter_object *self, struct value *ret);
    const char *repr; // "generator object sync_do_map"
    bool is_started, is_done, is_running;
    struct value input;
    struct iter source;
    struct value args[4]; // of the filter that made it
    const void *data;     // its own
    uint32_t n_done;
};

struct value iter_object_new(struct rt *rt, const char *repr,
                             bool (*next)(struct rt *, struct iter_object *, struct value *), struct value input);
// Everything that is left, as a list.
struct value value_to_list(struct rt *rt, struct value v);

#endif
