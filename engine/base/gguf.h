// GGUF files, versions 2 and 3: what stands before the tensors' data, namely metadata and the tensors' directory.
//
// Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. Little-endian. Immutable once open; every string
// and array borrows from the bytes that were read or given.
#ifndef TOKFS_BASE_GGUF_H
#define TOKFS_BASE_GGUF_H

#include "engine/base/err.h"
#include "engine/base/str.h"

#define GGUF_DIMS_MAX 4

enum gguf_type { // the format's numbers
    GGUF_U8,
    GGUF_I8,
    GGUF_U16,
    GGUF_I16,
    GGUF_U32,
    GGUF_I32,
    GGUF_F32,
    GGUF_BOOL,
    GGUF_STRING,
    GGUF_ARRAY,
    GGUF_U64,
    GGUF_I64,
    GGUF_F64,
    GGUF_N_TYPES,
};

struct gguf_entry {
    struct str key;
    enum gguf_type type;
    struct str bytes;         // a string: its text; an array: its items as they lie in the file; else the number
    enum gguf_type item_type; // of an array
    uint64_t n_items;         // of an array
};

// How a tensor's elements are stored: blocks of so many elements in so many bytes.
struct gguf_tensor_type {
    const char *name; // "Q4_K"; NULL: the format has no type of this number
    uint32_t block_items, block_bytes;
};

struct gguf_tensor {
    struct str name;
    uint32_t type; // number in the format
    const struct gguf_tensor_type *storage;
    uint32_t n_dims;
    uint64_t shape[GGUF_DIMS_MAX]; // shape[0] is contiguous: the reverse of safetensors'; 1 beyond n_dims
    uint64_t offset;               // in the file; a multiple of the alignment
    uint64_t bytes;
};

struct gguf {
    char *file; // for messages
    uint32_t version, alignment;
    struct gguf_entry *entries; // by key
    size_t n_entries;
    struct gguf_tensor *tensors; // by offset; they do not overlap and lie within the file
    size_t n_tensors;
    struct gguf_tensor **by_name;
    struct strbuf head; // the bytes that gguf_open has read
};

// -errno of the file; -EINVAL (malformed: names the file and the key or tensor), -EOPNOTSUPP (a version, byte order or
// tensor type that is not supported, by name), -ENOMEM.
int gguf_open(const char *path, struct gguf **ret, struct err *err);
// The same from bytes that stay where they are as long as the result lives: a whole file, or its beginning, which must
// then reach up to the tensors' data; file_bytes is the size of the whole. `file` is its name for messages.
int gguf_parse(struct str head, uint64_t file_bytes, const char *file, struct gguf **ret, struct err *err);
void gguf_free(struct gguf *g);
// Do these bytes, the first of a file, say that it is a GGUF file?
bool gguf_is_magic(struct str head);

const struct gguf_entry *gguf_find(const struct gguf *g, const char *key); // NULL: absent
const struct gguf_tensor *gguf_find_tensor(const struct gguf *g, struct str name);
// By name ("Q4_K"): the format's number, or -1.
int gguf_tensor_type_find(struct str name);
const char *gguf_type_name(enum gguf_type type); // "uint32", "string", "array", ...

// Values by key. Each leaves *ret alone and returns 0 when the key is absent; -EINVAL names file, key and what was
// found.
int gguf_get_str(const struct gguf *g, const char *key, struct str *ret, struct err *err);
int gguf_get_bool(const struct gguf *g, const char *key, bool *ret, struct err *err);
int gguf_get_u64(const struct gguf *g, const char *key, uint64_t *ret, struct err *err); // any whole number's type
int gguf_get_f64(const struct gguf *g, const char *key, double *ret, struct err *err);   // any number's type
int gguf_get_array(const struct gguf *g, const char *key, enum gguf_type item_type, const struct gguf_entry **ret,
                   struct err *err);

// Items of an array of numbers, converted; idx < n_items.
double gguf_item_f64(const struct gguf_entry *array, uint64_t idx);
int64_t gguf_item_i64(const struct gguf_entry *array, uint64_t idx);
// Takes the next string off the front of the items of an array of strings (entry->bytes at first).
struct str gguf_next_str(struct str *items);

// For gguf.c: the bytes of a number's type, 0 for a string or an array; n bytes, little-endian; the order of keys.
uint32_t gguf_type_bytes(enum gguf_type type);
int gguf_compare(struct str a, struct str b);
static inline uint64_t gguf_load(const char *p, size_t n)
{
    uint64_t value = 0;
    for (size_t i = n; i-- > 0;) {
        value = value << 8 | (uint8_t)p[i];
    }
    return value;
}

#endif
