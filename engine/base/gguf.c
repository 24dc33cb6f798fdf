// Reading goes from front to back once, through a reader that knows how much of the file it has: running off what was
// read but not off the file means that more is to be read (MORE), which only gguf_open sees, and then it begins again
// with four times as much. Counts and lengths are checked against what the file can hold before anything follows them,
// and tables grow with what was found, so a small file cannot make it allocate much.
//
// The file is read rather than mapped: a mapping of a file that shrinks meanwhile ends the process.
#include "engine/base/gguf.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MORE            1
#define FIRST_BYTES     (4u << 20)
#define HEAD_BYTES_MAX  (1u << 30)
#define KEY_BYTES_MAX   65535
#define ARRAY_DEPTH_MAX 8
#define ALIGNMENT       32 // unless general.alignment says otherwise

// Strings in messages: as much of them as fits beside the words.
#define NAME_ARG(s) STR_ARG(str_take(s, 80))

static const struct gguf_tensor_type tensor_types[] = {
    [0] = { "F32", 1, 4 },         [1] = { "F16", 1, 2 },         [2] = { "Q4_0", 32, 18 },
    [3] = { "Q4_1", 32, 20 },      [6] = { "Q5_0", 32, 22 },      [7] = { "Q5_1", 32, 24 },
    [8] = { "Q8_0", 32, 34 },      [9] = { "Q8_1", 32, 36 },      [10] = { "Q2_K", 256, 84 },
    [11] = { "Q3_K", 256, 110 },   [12] = { "Q4_K", 256, 144 },   [13] = { "Q5_K", 256, 176 },
    [14] = { "Q6_K", 256, 210 },   [15] = { "Q8_K", 256, 292 },   [16] = { "IQ2_XXS", 256, 66 },
    [17] = { "IQ2_XS", 256, 74 },  [18] = { "IQ3_XXS", 256, 98 }, [19] = { "IQ1_S", 256, 50 },
    [20] = { "IQ4_NL", 32, 18 },   [21] = { "IQ3_S", 256, 110 },  [22] = { "IQ2_S", 256, 82 },
    [23] = { "IQ4_XS", 256, 136 }, [24] = { "I8", 1, 1 },         [25] = { "I16", 1, 2 },
    [26] = { "I32", 1, 4 },        [27] = { "I64", 1, 8 },        [28] = { "F64", 1, 8 },
    [29] = { "IQ1_M", 256, 56 },   [30] = { "BF16", 1, 2 },       [34] = { "TQ1_0", 256, 54 },
    [35] = { "TQ2_0", 256, 66 },   [39] = { "MXFP4", 32, 17 },    [40] = { "NVFP4", 64, 36 },
    [41] = { "Q1_0", 128, 18 },    [42] = { "Q2_0", 64, 18 },
};

int gguf_tensor_type_find(struct str name)
{
    for (size_t i = 0; i < sizeof tensor_types / sizeof *tensor_types; i++) {
        if (tensor_types[i].name && str_eq(name, str_from(tensor_types[i].name))) {
            return (int)i;
        }
    }
    return -1;
}

// ---- reading -------------------------------------------------------------------------------------------------------

struct reader {
    struct gguf *g;
    struct str in;
    size_t at;
    uint64_t file_bytes;
    struct str where; // the key or tensor in hand, for messages
    struct err *err;
};

static int bad(const struct reader *rd, const char *what)
{
    if (rd->where.len == 0) {
        return err_set(rd->err, -EINVAL, "%s: %s", rd->g->file, what);
    }
    return err_set(rd->err, -EINVAL, "%s: %.*s: %s", rd->g->file, NAME_ARG(rd->where), what);
}

static int take(struct reader *rd, uint64_t n, struct str *ret)
{
    if (n > rd->file_bytes - rd->at) {
        return bad(rd, "the file ends within it: truncated, or not what its header says");
    }
    if (n > rd->in.len - rd->at) {
        return MORE;
    }
    *ret = (struct str){ rd->in.ptr + rd->at, (size_t)n };
    rd->at += (size_t)n;
    return 0;
}

static int take_u32(struct reader *rd, uint32_t *ret)
{
    struct str bytes = { 0 };
    int r = take(rd, 4, &bytes);
    *ret = r ? 0 : (uint32_t)gguf_load(bytes.ptr, 4);
    return r;
}

static int take_u64(struct reader *rd, uint64_t *ret)
{
    struct str bytes = { 0 };
    int r = take(rd, 8, &bytes);
    *ret = r ? 0 : gguf_load(bytes.ptr, 8);
    return r;
}

static int take_str(struct reader *rd, struct str *ret)
{
    uint64_t len;
    int r = take_u64(rd, &len);
    return r ? r : take(rd, len, ret);
}

static int take_name(struct reader *rd, struct str *ret)
{
    int r = take_str(rd, ret);
    if (r == 0 && (ret->len == 0 || ret->len > KEY_BYTES_MAX)) {
        return bad(rd, ret->len == 0 ? "what follows has an empty name"
                                     : "what follows has a name of more than 65535 bytes");
    }
    return r;
}

static int take_type(struct reader *rd, enum gguf_type *ret)
{
    uint32_t type;
    int r = take_u32(rd, &type);
    if (r == 0 && type >= GGUF_N_TYPES) {
        return err_set(rd->err, -EINVAL, "%s: %.*s: there is no type of value %" PRIu32, rd->g->file,
                       NAME_ARG(rd->where), type);
    }
    *ret = (enum gguf_type)type;
    return r;
}

// ---- metadata ------------------------------------------------------------------------------------------------------

static int take_array(struct reader *rd, struct gguf_entry *array, unsigned depth)
{
    struct str skipped;
    int r = take_type(rd, &array->item_type);
    r = r ? r : take_u64(rd, &array->n_items);
    size_t start = rd->at;
    if (r == 0 && gguf_type_bytes(array->item_type) > 0) {
        uint32_t size = gguf_type_bytes(array->item_type);
        if (array->n_items > (rd->file_bytes - rd->at) / size) {
            return bad(rd, "the array is longer than the file");
        }
        r = take(rd, array->n_items * size, &skipped);
    } else if (r == 0 && array->item_type == GGUF_ARRAY && depth == ARRAY_DEPTH_MAX) {
        return err_set(rd->err, -EOPNOTSUPP, "%s: %.*s: arrays in arrays, more than %d deep", rd->g->file,
                       NAME_ARG(rd->where), ARRAY_DEPTH_MAX);
    } else if (r == 0) {
        for (uint64_t i = 0; i < array->n_items && r == 0; i++) {
            struct gguf_entry inner;
            r = array->item_type == GGUF_STRING ? take_str(rd, &skipped) : take_array(rd, &inner, depth + 1);
        }
    }
    array->bytes = (struct str){ rd->in.ptr + start, rd->at - start };
    return r;
}

static int take_entry(struct reader *rd, struct gguf_entry *entry)
{
    *entry = (struct gguf_entry){ 0 };
    int r = take_name(rd, &entry->key);
    rd->where = r ? rd->where : entry->key;
    r = r ? r : take_type(rd, &entry->type);
    if (r) {
        return r;
    }
    switch (entry->type) {
    case GGUF_STRING: return take_str(rd, &entry->bytes);
    case GGUF_ARRAY: return take_array(rd, entry, 1);
    default: r = take(rd, gguf_type_bytes(entry->type), &entry->bytes);
    }
    if (r == 0 && entry->type == GGUF_BOOL && (uint8_t)entry->bytes.ptr[0] > 1) {
        return bad(rd, "a bool that is neither 0 nor 1");
    }
    return r;
}

// Room for one more item: n grows by doubling.
static void *grow(void *items, size_t n, size_t item_size)
{
    bool is_full = n == 0 || (n & (n - 1)) == 0; // a power of two, as the capacity is
    return is_full ? reallocarray(items, n ? 2 * n : 1, item_size) : items;
}

static int compare_entries(const void *a, const void *b)
{
    return gguf_compare(((const struct gguf_entry *)a)->key, ((const struct gguf_entry *)b)->key);
}

static int take_entries(struct reader *rd, uint64_t n)
{
    struct gguf *g = rd->g;
    for (uint64_t i = 0; i < n; i++) {
        struct gguf_entry *entries = grow(g->entries, g->n_entries, sizeof *entries);
        if (!entries) {
            return err_set(rd->err, -ENOMEM, "%s: no memory for %zu keys", g->file, g->n_entries);
        }
        g->entries = entries;
        int r = take_entry(rd, &entries[g->n_entries]);
        if (r) {
            return r;
        }
        g->n_entries++;
    }
    if (g->n_entries > 0) {
        qsort(g->entries, g->n_entries, sizeof *g->entries, compare_entries);
    }
    for (size_t i = 1; i < g->n_entries; i++) {
        if (str_eq(g->entries[i].key, g->entries[i - 1].key)) {
            rd->where = g->entries[i].key;
            return bad(rd, "this key occurs twice");
        }
    }
    return 0;
}

// ---- tensors -------------------------------------------------------------------------------------------------------

static int bad_tensor(const struct reader *rd, const struct gguf_tensor *t, const char *what)
{
    return err_set(rd->err, -EINVAL, "%s: tensor \"%.*s\": %s", rd->g->file, NAME_ARG(t->name), what);
}

static int set_storage(struct reader *rd, struct gguf_tensor *t)
{
    bool is_known = t->type < sizeof tensor_types / sizeof *tensor_types && tensor_types[t->type].name;
    if (!is_known) {
        return err_set(rd->err, -EOPNOTSUPP, "%s: tensor \"%.*s\" has the unknown type %" PRIu32, rd->g->file,
                       NAME_ARG(t->name), t->type);
    }
    t->storage = &tensor_types[t->type];
    if (t->shape[0] % t->storage->block_items != 0) {
        return err_set(rd->err, -EINVAL,
                       "%s: tensor \"%.*s\": rows of %" PRIu64 " do not fill blocks of %" PRIu32 " (%s)", rd->g->file,
                       NAME_ARG(t->name), t->shape[0], t->storage->block_items, t->storage->name);
    }
    t->bytes = t->shape[0] / t->storage->block_items;
    if (__builtin_mul_overflow(t->bytes, t->storage->block_bytes, &t->bytes)) {
        return bad_tensor(rd, t, "its shape is too large");
    }
    for (uint32_t i = 1; i < GGUF_DIMS_MAX; i++) {
        if (__builtin_mul_overflow(t->bytes, t->shape[i], &t->bytes)) {
            return bad_tensor(rd, t, "its shape is too large");
        }
    }
    return 0;
}

static int take_tensor(struct reader *rd, struct gguf_tensor *t)
{
    *t = (struct gguf_tensor){ .shape = { 1, 1, 1, 1 } };
    int r = take_name(rd, &t->name);
    rd->where = r ? rd->where : t->name;
    r = r ? r : take_u32(rd, &t->n_dims);
    if (r == 0 && t->n_dims > GGUF_DIMS_MAX) {
        return err_set(rd->err, -EINVAL, "%s: tensor \"%.*s\" has %" PRIu32 " dimensions, more than %d", rd->g->file,
                       NAME_ARG(t->name), t->n_dims, GGUF_DIMS_MAX);
    }
    for (uint32_t i = 0; i < t->n_dims && r == 0; i++) {
        r = take_u64(rd, &t->shape[i]);
    }
    r = r ? r : take_u32(rd, &t->type);
    r = r ? r : take_u64(rd, &t->offset);
    return r ? r : set_storage(rd, t);
}

static int compare_offsets(const void *a, const void *b)
{
    const struct gguf_tensor *x = a, *y = b;
    return x->offset != y->offset ? (x->offset > y->offset ? 1 : -1) : (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

static int compare_names(const void *a, const void *b)
{
    return gguf_compare((*(struct gguf_tensor *const *)a)->name, (*(struct gguf_tensor *const *)b)->name);
}

// From offsets in the data to offsets in the file; each tensor must lie within it, by itself.
static int place_tensors(struct reader *rd)
{
    struct gguf *g = rd->g;
    uint64_t mask = g->alignment - 1, data = ((uint64_t)rd->at + mask) & ~mask, end = data;
    qsort(g->tensors, g->n_tensors, sizeof *g->tensors, compare_offsets);
    for (size_t i = 0; i < g->n_tensors; i++) {
        struct gguf_tensor *t = &g->tensors[i];
        uint64_t t_end;
        if (t->offset & mask) {
            return bad_tensor(rd, t, "its offset is not a multiple of the alignment");
        }
        if (__builtin_add_overflow(t->offset, data, &t->offset) ||
            __builtin_add_overflow(t->offset, t->bytes, &t_end) || t_end > rd->file_bytes) {
            return err_set(rd->err, -EINVAL,
                           "%s: tensor \"%.*s\" ends behind the end of the file (%" PRIu64 " bytes): truncated?",
                           g->file, NAME_ARG(t->name), rd->file_bytes);
        }
        if (t->offset < end) {
            return err_set(rd->err, -EINVAL, "%s: tensors \"%.*s\" and \"%.*s\" overlap", g->file,
                           STR_ARG(str_take(g->tensors[i - 1].name, 50)), STR_ARG(str_take(t->name, 50)));
        }
        end = t_end;
    }
    return 0;
}

static int index_tensors(struct reader *rd)
{
    struct gguf *g = rd->g;
    g->by_name = malloc(g->n_tensors * sizeof *g->by_name);
    if (!g->by_name) {
        return err_set(rd->err, -ENOMEM, "%s: no memory for %zu tensors", g->file, g->n_tensors);
    }
    for (size_t i = 0; i < g->n_tensors; i++) {
        g->by_name[i] = &g->tensors[i];
    }
    qsort(g->by_name, g->n_tensors, sizeof *g->by_name, compare_names);
    for (size_t i = 1; i < g->n_tensors; i++) {
        if (str_eq(g->by_name[i]->name, g->by_name[i - 1]->name)) {
            return bad_tensor(rd, g->by_name[i], "there are two of this name");
        }
    }
    return 0;
}

static int take_tensors(struct reader *rd, uint64_t n)
{
    struct gguf *g = rd->g;
    for (uint64_t i = 0; i < n; i++) {
        struct gguf_tensor *tensors = grow(g->tensors, g->n_tensors, sizeof *tensors);
        if (!tensors) {
            return err_set(rd->err, -ENOMEM, "%s: no memory for %zu tensors", g->file, g->n_tensors);
        }
        g->tensors = tensors;
        int r = take_tensor(rd, &tensors[g->n_tensors]);
        if (r) {
            return r;
        }
        g->n_tensors++;
    }
    int r = n > 0 ? place_tensors(rd) : 0;
    return r || n == 0 ? r : index_tensors(rd);
}

// ---- the file ------------------------------------------------------------------------------------------------------

bool gguf_is_magic(struct str head)
{
    return str_starts_with(head, STR("GGUF"));
}

static int take_version(struct reader *rd)
{
    struct str magic = { 0 };
    int r = rd->file_bytes < 4 ? bad(rd, "not a GGUF file") : take(rd, 4, &magic);
    if (r == 0 && !gguf_is_magic(magic)) {
        bool is_old = str_eq(magic, STR("lmgg")) || str_eq(magic, STR("fmgg")) || str_eq(magic, STR("tjgg"));
        return is_old ? err_set(rd->err, -EOPNOTSUPP, "%s: a GGML file from before GGUF is not supported", rd->g->file)
                      : bad(rd, "not a GGUF file");
    }
    r = r ? r : take_u32(rd, &rd->g->version);
    if (r == 0 && rd->g->version != 2 && rd->g->version != 3) {
        uint32_t swapped = __builtin_bswap32(rd->g->version);
        return swapped == 2 || swapped == 3
                   ? err_set(rd->err, -EOPNOTSUPP, "%s: a big-endian GGUF file is not supported", rd->g->file)
                   : err_set(rd->err, -EOPNOTSUPP, "%s: GGUF version %" PRIu32 " is not supported, only 2 and 3",
                             rd->g->file, rd->g->version);
    }
    return r;
}

static int take_alignment(struct reader *rd)
{
    uint64_t alignment = ALIGNMENT;
    int r = gguf_get_u64(rd->g, "general.alignment", &alignment, rd->err);
    if (r == 0 && (alignment == 0 || alignment > UINT32_MAX || (alignment & (alignment - 1)) != 0)) {
        return err_set(rd->err, -EINVAL, "%s: general.alignment: %" PRIu64 " is not a power of two below 2^32",
                       rd->g->file, alignment);
    }
    rd->g->alignment = (uint32_t)alignment;
    return r;
}

static int take_all(struct reader *rd)
{
    uint64_t n_tensors, n_entries;
    int r = take_version(rd);
    r = r ? r : take_u64(rd, &n_tensors);
    r = r ? r : take_u64(rd, &n_entries);
    r = r ? r : take_entries(rd, n_entries);
    r = r ? r : take_alignment(rd);
    rd->where = (struct str){ 0 };
    return r ? r : take_tensors(rd, n_tensors);
}

// MORE when `head` ends too early but the file does not.
static int parse(struct str head, uint64_t file_bytes, const char *file, struct gguf **ret, struct err *err)
{
    struct gguf *g = calloc(1, sizeof *g);
    if (g) {
        g->file = str_dup(str_from(file));
    }
    if (!g || !g->file) {
        free(g);
        return err_set(err, -ENOMEM, "%s: out of memory", file);
    }
    struct reader rd = { .g = g, .in = head, .file_bytes = file_bytes, .err = err };
    int r = take_all(&rd);
    if (r) {
        gguf_free(g);
        return r;
    }
    *ret = g;
    return 0;
}

int gguf_parse(struct str head, uint64_t file_bytes, const char *file, struct gguf **ret, struct err *err)
{
    int r = parse(head, file_bytes < head.len ? head.len : file_bytes, file, ret, err);
    return r != MORE ? r : err_set(err, -EINVAL, "%s: its metadata goes beyond the %zu bytes given", file, head.len);
}

// Reads on until `buf` holds `wanted` bytes or the file ends.
static int read_up_to(int fd, size_t wanted, struct strbuf *buf)
{
    int r = wanted > buf->len ? strbuf_reserve(buf, wanted - buf->len) : 0;
    while (r == 0 && buf->len < wanted) {
        ssize_t n = read(fd, buf->ptr + buf->len, wanted - buf->len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n < 0 ? -errno : 0;
        }
        buf->len += (size_t)n;
    }
    return r;
}

static int open_fd(int fd, const char *path, struct gguf **ret, struct err *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        return err_set(err, -EINVAL, "%s: not a regular file", path);
    }
    uint64_t file_bytes = (uint64_t)st.st_size;
    struct strbuf head;
    strbuf_init(&head, 0);
    int r = MORE;
    for (uint64_t wanted = FIRST_BYTES; r == MORE && wanted <= HEAD_BYTES_MAX; wanted *= 4) {
        r = read_up_to(fd, (size_t)(wanted < file_bytes ? wanted : file_bytes), &head);
        r = r ? err_set(err, r, "%s: %s", path, strerror(-r)) : parse(strbuf_str(&head), file_bytes, path, ret, err);
        if (r == MORE && head.len < wanted) { // the file became shorter while it was read
            r = err_set(err, -EINVAL, "%s: truncated at byte %zu", path, head.len);
        }
    }
    if (r == 0) {
        (*ret)->head = head;
        return 0;
    }
    strbuf_deinit(&head);
    return r != MORE ? r : err_set(err, -EFBIG, "%s: more than %u bytes of metadata", path, HEAD_BYTES_MAX);
}

int gguf_open(const char *path, struct gguf **ret, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); // a pipe in its place must not block
    if (fd < 0) {
        return err_set(err, -errno, "%s: %s", path, strerror(errno));
    }
    int r = open_fd(fd, path, ret, err);
    close(fd);
    return r;
}

void gguf_free(struct gguf *g)
{
    if (g) {
        strbuf_deinit(&g->head);
        free(g->entries);
        free(g->tensors);
        free(g->by_name);
        free(g->file);
        free(g);
    }
}
