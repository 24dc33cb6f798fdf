// Values of a GGUF file's metadata by key, converted to what the caller asks for. Numbers may be of any type that holds
// them: writers disagree about which one to use.
#include "engine/base/gguf.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const struct type_info {
    const char *name;
    uint32_t bytes; // 0: not of fixed size
} types[GGUF_N_TYPES] = {
    [GGUF_U8] = { "uint8", 1 },    [GGUF_I8] = { "int8", 1 },    [GGUF_U16] = { "uint16", 2 },
    [GGUF_I16] = { "int16", 2 },   [GGUF_U32] = { "uint32", 4 }, [GGUF_I32] = { "int32", 4 },
    [GGUF_F32] = { "float32", 4 }, [GGUF_BOOL] = { "bool", 1 },  [GGUF_STRING] = { "string", 0 },
    [GGUF_ARRAY] = { "array", 0 }, [GGUF_U64] = { "uint64", 8 }, [GGUF_I64] = { "int64", 8 },
    [GGUF_F64] = { "float64", 8 },
};

const char *gguf_type_name(enum gguf_type type)
{
    return (unsigned)type < GGUF_N_TYPES ? types[type].name : "unknown";
}

uint32_t gguf_type_bytes(enum gguf_type type)
{
    return types[type].bytes;
}

int gguf_compare(struct str a, struct str b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int order = n > 0 ? memcmp(a.ptr, b.ptr, n) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

// ---- looking up ----------------------------------------------------------------------------------------------------

static int compare_key(const void *key, const void *entry)
{
    return gguf_compare(*(const struct str *)key, ((const struct gguf_entry *)entry)->key);
}

static int compare_name(const void *name, const void *tensor)
{
    return gguf_compare(*(const struct str *)name, (*(struct gguf_tensor *const *)tensor)->name);
}

const struct gguf_entry *gguf_find(const struct gguf *g, const char *key)
{
    struct str wanted = str_from(key);
    return g->n_entries > 0 ? bsearch(&wanted, g->entries, g->n_entries, sizeof *g->entries, compare_key) : NULL;
}

const struct gguf_tensor *gguf_find_tensor(const struct gguf *g, struct str name)
{
    struct gguf_tensor **found =
        g->n_tensors > 0 ? bsearch(&name, g->by_name, g->n_tensors, sizeof *g->by_name, compare_name) : NULL;
    return found ? *found : NULL;
}

static double to_f64(enum gguf_type type, const char *p)
{
    uint64_t bits = gguf_load(p, types[type].bytes);
    float f;
    double d;
    switch (type) {
    case GGUF_F32: {
        uint32_t low = (uint32_t)bits;
        memcpy(&f, &low, sizeof f);
        return f;
    }
    case GGUF_F64: memcpy(&d, &bits, sizeof d); return d;
    case GGUF_I8: return (int8_t)bits;
    case GGUF_I16: return (int16_t)bits;
    case GGUF_I32: return (int32_t)bits;
    case GGUF_I64: return (double)(int64_t)bits;
    default: return (double)bits;
    }
}

static int64_t to_i64(enum gguf_type type, const char *p)
{
    uint64_t bits = gguf_load(p, types[type].bytes);
    switch (type) {
    case GGUF_I8: return (int8_t)bits;
    case GGUF_I16: return (int16_t)bits;
    case GGUF_I32: return (int32_t)bits;
    default: return (int64_t)bits;
    }
}

static bool is_signed(enum gguf_type type)
{
    return type == GGUF_I8 || type == GGUF_I16 || type == GGUF_I32 || type == GGUF_I64;
}

static bool is_number(enum gguf_type type)
{
    return types[type].bytes > 0 && type != GGUF_BOOL;
}

static int wrong_type(const struct gguf *g, const struct gguf_entry *entry, const char *wanted, struct err *err)
{
    return err_set(err, -EINVAL, "%s: %.*s: %s expected, %s%s found", g->file, STR_ARG(str_take(entry->key, 80)),
                   wanted, entry->type == GGUF_ARRAY ? "array of " : "",
                   types[entry->type == GGUF_ARRAY ? entry->item_type : entry->type].name);
}

int gguf_get_str(const struct gguf *g, const char *key, struct str *ret, struct err *err)
{
    const struct gguf_entry *entry = gguf_find(g, key);
    if (entry && entry->type != GGUF_STRING) {
        return wrong_type(g, entry, "string", err);
    }
    *ret = entry ? entry->bytes : *ret;
    return 0;
}

int gguf_get_bool(const struct gguf *g, const char *key, bool *ret, struct err *err)
{
    const struct gguf_entry *entry = gguf_find(g, key);
    if (entry && entry->type != GGUF_BOOL) {
        return wrong_type(g, entry, "bool", err);
    }
    *ret = entry ? entry->bytes.ptr[0] == 1 : *ret;
    return 0;
}

int gguf_get_u64(const struct gguf *g, const char *key, uint64_t *ret, struct err *err)
{
    const struct gguf_entry *entry = gguf_find(g, key);
    if (!entry) {
        return 0;
    }
    if (!is_number(entry->type) || entry->type == GGUF_F32 || entry->type == GGUF_F64) {
        return wrong_type(g, entry, "whole number", err);
    }
    int64_t value = to_i64(entry->type, entry->bytes.ptr);
    if (value < 0 && is_signed(entry->type)) {
        return err_set(err, -EINVAL, "%s: %s: %" PRId64 " is negative", g->file, key, value);
    }
    *ret = (uint64_t)value;
    return 0;
}

int gguf_get_f64(const struct gguf *g, const char *key, double *ret, struct err *err)
{
    const struct gguf_entry *entry = gguf_find(g, key);
    if (entry && !is_number(entry->type)) {
        return wrong_type(g, entry, "number", err);
    }
    *ret = entry ? to_f64(entry->type, entry->bytes.ptr) : *ret;
    return 0;
}

int gguf_get_array(const struct gguf *g, const char *key, enum gguf_type item_type, const struct gguf_entry **ret,
                   struct err *err)
{
    const struct gguf_entry *entry = gguf_find(g, key);
    if (entry && (entry->type != GGUF_ARRAY || entry->item_type != item_type)) {
        char wanted[32] = "array of ";
        return wrong_type(g, entry, strcat(wanted, types[item_type].name), err);
    }
    *ret = entry ? entry : *ret;
    return 0;
}

double gguf_item_f64(const struct gguf_entry *array, uint64_t idx)
{
    return to_f64(array->item_type, array->bytes.ptr + idx * types[array->item_type].bytes);
}

int64_t gguf_item_i64(const struct gguf_entry *array, uint64_t idx)
{
    return to_i64(array->item_type, array->bytes.ptr + idx * types[array->item_type].bytes);
}

struct str gguf_next_str(struct str *items)
{
    size_t len = (size_t)gguf_load(items->ptr, 8);
    struct str s = { items->ptr + 8, len };
    *items = str_skip(*items, 8 + len);
    return s;
}
