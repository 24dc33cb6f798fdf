// Walks the table of weights: every matrix and vector is a piece of the file, under a key that says which and how.
#include "engine/model/weights_packed.h"
#include "engine/base/option.h"
#include "engine/model/model_text.h"
#include "engine/model/packed_file.h"
#include "engine/model/weights_table.h"
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

#define CONFIG_BYTES_MAX (4u << 20)
#define SAMPLE_ROWS      33 // more than a tile of any backend has, and not whole ones
#define LAYOUTS_MAX      64 // types times lengths of rows; what is beyond is hashed anew each time

// ---- where, and of what --------------------------------------------------------------------------------------------

static void hash_tensor(XXH3_state_t *state, const struct tensor_info *t)
{
    XXH3_128bits_update(state, t->name.ptr, t->name.len);
    XXH3_128bits_update(state, t->dtype_name.ptr, t->dtype_name.len);
    XXH3_128bits_update(state, t->shape, t->n_dims * sizeof(t->shape[0]));
    const uint64_t place[] = { t->file_idx, t->offset, t->bytes };
    XXH3_128bits_update(state, place, sizeof(place));
}

static int hash_file(XXH3_state_t *state, const struct tensor_file *f, mode_t *ret_mode, struct err *err)
{
    struct stat st;
    if (fstat(f->fd, &st) < 0) {
        return err_set(err, -errno, "%s: %s", f->name, strerror(errno));
    }
    const uint64_t what[] = { (uint64_t)st.st_size, (uint64_t)st.st_ino, (uint64_t)st.st_mtim.tv_sec,
                              (uint64_t)st.st_mtim.tv_nsec };
    XXH3_128bits_update(state, f->name, strlen(f->name) + 1);
    XXH3_128bits_update(state, what, sizeof(what));
    *ret_mode &= st.st_mode;
    return 0;
}

static int hash_source(const struct checkpoint *cp, struct str config, struct packed_weights *ret, struct err *err)
{
    XXH3_state_t *state = XXH3_createState();
    if (!state) {
        return err_set(err, -ENOMEM, "out of memory");
    }
    XXH3_128bits_reset(state);
    XXH3_128bits_update(state, config.ptr, config.len);
    mode_t mode = S_IRUSR | S_IRGRP | S_IROTH;
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < cp->n_files; i++) {
        rc = hash_file(state, &cp->files[i], &mode, err);
    }
    for (size_t i = 0; rc == 0 && i < cp->n_tensors; i++) {
        hash_tensor(state, &cp->tensors[i]);
    }
    XXH128_hash_t hash = XXH3_128bits_digest(state);
    XXH3_freeState(state);
    ret->source[0] = hash.low64;
    ret->source[1] = hash.high64;
    ret->mode = mode | S_IRUSR | S_IWUSR;
    return rc;
}

static int find_path(char ret[PATH_MAX], const char *where, const char *dir, enum weight_form form,
                     const struct backend *backend, struct err *err)
{
    int n;
    if (strcmp(where, "auto") != 0) {
        n = snprintf(ret, PATH_MAX, "%s", where);
    } else {
        n = snprintf(ret, PATH_MAX, "%s%s%s-%s.packed", dir, model_is_file(dir) ? "." : "/tokfs-", backend->ops->name,
                     option_weights[form]);
    }
    return n < PATH_MAX ? 0 : err_set(err, -ENAMETOOLONG, "%s: %s", where, strerror(ENAMETOOLONG));
}

int packed_weights_init(struct packed_weights *ret, const char *where, const char *dir, const struct checkpoint *cp,
                        enum weight_form form, const struct backend *backend, struct packed_note *note, struct err *err)
{
    struct strbuf config;
    ret->path[0] = 0;
    ret->note = note;
    if (!where || !where[0]) {
        return 0;
    }
    strbuf_init(&config, 0);
    int rc = model_text_read(dir, "config.json", CONFIG_BYTES_MAX, &config, err);
    rc = rc < 0 ? rc : hash_source(cp, strbuf_str(&config), ret, err);
    rc = rc < 0 ? rc : find_path(ret->path, where, dir, form, backend, err);
    strbuf_deinit(&config);
    return rc;
}

// ---- pieces --------------------------------------------------------------------------------------------------------

struct layout {
    enum dtype dtype;
    size_t n_in;
    uint64_t hash;
};

struct walk {
    struct weights *w;
    const struct weight_source *source;
    struct packed_content content;
    size_t cap;
    struct layout layouts[LAYOUTS_MAX];
    size_t n_layouts;
};

// How the backend lays out rows of this type and length: a hash of some that are made up.
static int hash_layout(struct backend *b, enum dtype dtype, size_t n_in, uint64_t *ret)
{
    size_t bytes = SAMPLE_ROWS * dtype_row_bytes(dtype, n_in);
    struct matrix *m = b->ops->matrix_new(b, dtype, SAMPLE_ROWS, n_in);
    unsigned char *rows = malloc(bytes);
    uint64_t random = 1;
    for (size_t i = 0; rows && i < bytes; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        rows[i] = (unsigned char)(random >> 56);
    }
    bool is_made = m && rows;
    if (is_made) {
        b->ops->matrix_fill(b, m, 0, SAMPLE_ROWS, rows);
        *ret = XXH3_64bits(b->ops->matrix_packed(m), b->ops->matrix_bytes(m));
    }
    free(rows);
    if (m) {
        b->ops->matrix_free(b, m);
    }
    return is_made ? 0 : -ENOMEM;
}

static int find_layout(struct walk *walk, enum dtype dtype, size_t n_in, uint64_t *ret)
{
    for (size_t i = 0; i < walk->n_layouts; i++) {
        if (walk->layouts[i].dtype == dtype && walk->layouts[i].n_in == n_in) {
            *ret = walk->layouts[i].hash;
            return 0;
        }
    }
    int rc = hash_layout(walk->w->backend, dtype, n_in, ret);
    if (rc == 0 && walk->n_layouts < LAYOUTS_MAX) {
        walk->layouts[walk->n_layouts++] = (struct layout){ dtype, n_in, *ret };
    }
    return rc;
}

static int add_piece(struct walk *walk, void *mem, size_t bytes, const uint64_t *key, size_t n_key)
{
    struct packed_content *c = &walk->content;
    if (c->n_pieces == walk->cap) {
        size_t cap = walk->cap ? 2 * walk->cap : 256;
        struct packed_piece *grown = realloc(c->pieces, cap * sizeof(*grown));
        if (!grown) {
            return -ENOMEM;
        }
        c->pieces = grown;
        walk->cap = cap;
    }
    c->pieces[c->n_pieces++] = (struct packed_piece){ mem, bytes, XXH3_64bits(key, n_key * sizeof(*key)) };
    return 0;
}

static int add_matrix(struct walk *walk, enum place_id id, struct weight_unit unit)
{
    struct backend *b = walk->w->backend;
    const struct weight_matrix *m = weight_place_of(walk->w, id, unit);
    size_t n_in = weight_dim(walk->source->config, weight_places[id].n_in);
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < m->n_pieces; i++) {
        uint64_t layout = 0;
        rc = find_layout(walk, m->dtypes[i], n_in, &layout);
        const uint64_t key[] = { id, unit.layer, unit.expert, i, m->dtypes[i], m->n_rows[i], n_in, layout };
        rc = rc < 0 ? rc
                    : add_piece(walk, b->ops->matrix_packed(m->pieces[i]), b->ops->matrix_bytes(m->pieces[i]), key,
                                sizeof(key) / sizeof(*key));
    }
    return rc;
}

static int add_place(struct walk *walk, enum place_id id, struct weight_unit unit)
{
    if (weight_places[id].is_matrix) {
        return add_matrix(walk, id, unit);
    }
    float *vector = *(float **)weight_place_of(walk->w, id, unit);
    size_t n = weight_dim(walk->source->config, weight_places[id].n_in);
    const uint64_t key[] = { id, unit.layer, unit.expert, n };
    return vector ? add_piece(walk, vector, n * sizeof(*vector), key, sizeof(key) / sizeof(*key)) : 0;
}

static int add_places(struct walk *walk)
{
    const struct model_config *c = walk->source->config;
    int rc = 0;
    for (int id = 0; rc == 0 && id < N_PLACES; id++) {
        bool is_twice = id == LM_HEAD && walk->w->lm_head.pieces[0] == walk->w->embed.pieces[0];
        for (uint32_t i = 0; rc == 0 && !is_twice && weight_has_place(c, id) && i < weight_n_units(c, id); i++) {
            struct weight_unit unit = weight_unit_at(c, id, i);
            rc = weight_has_unit(c, id, unit) ? add_place(walk, id, unit) : 0;
        }
    }
    return rc;
}

static int list_pieces(const struct packed_weights *p, struct weights *w, const struct weight_source *source,
                       struct walk *ret)
{
    memset(ret, 0, sizeof(*ret));
    ret->w = w;
    ret->source = source;
    ret->content.form = source->form;
    ret->content.note = w->hash;
    memcpy(ret->content.source, p->source, sizeof(p->source));
    return add_places(ret);
}

static double megabytes(const struct walk *walk)
{
    double bytes = 0;
    for (size_t i = 0; i < walk->content.n_pieces; i++) {
        bytes += (double)walk->content.pieces[i].bytes;
    }
    return bytes / 1e6;
}

// ---- taking and keeping --------------------------------------------------------------------------------------------

// What a mapped model cannot be made of: a device's memory.
static bool is_supported(const struct backend *b)
{
    return b->ops->has_host_memory && b->ops->matrix_packed;
}

bool packed_weights_take(const struct packed_weights *p, struct weights *w, const struct weight_source *source)
{
    struct packed_note *note = p->note;
    struct err err = { 0 };
    struct walk walk;
    if (!is_supported(w->backend)) {
        snprintf(note->msg, sizeof(note->msg), "the %s backend keeps no packed weights in files",
                 w->backend->ops->name);
        note->is_bad = true;
        return false;
    }
    const struct packed_io io = { w->backend, source->progress, source->progress_ctx };
    int rc = list_pieces(p, w, source, &walk);
    rc = rc < 0 ? err_set(&err, rc, "%.200s: out of memory", p->path)
                : packed_file_read(p->path, &walk.content, &io, &err);
    if (rc == 0) {
        w->hash = walk.content.note;
        note->is_taken = true;
        snprintf(note->msg, sizeof(note->msg), "%.200s: %.0f MB of packed weights taken", p->path, megabytes(&walk));
    } else if (rc != -ENOENT) {
        snprintf(note->msg, sizeof(note->msg), "%s", err.msg);
        note->is_bad = rc != -ESTALE;
    }
    free(walk.content.pieces);
    return rc == 0;
}

void packed_weights_keep(const struct packed_weights *p, struct weights *w, const struct weight_source *source)
{
    struct packed_note *note = p->note;
    struct err err = { 0 };
    struct walk walk;
    if (note->is_bad) { // it is left alone
        return;
    }
    const struct packed_io io = { w->backend, NULL, NULL };
    int rc = list_pieces(p, w, source, &walk);
    rc = rc < 0 ? err_set(&err, rc, "%.200s: out of memory", p->path)
                : packed_file_write(p->path, &walk.content, p->mode, &io, &err);
    if (rc < 0) {
        snprintf(note->msg, sizeof(note->msg), "packed weights are not kept: %.200s", err.msg);
        note->is_bad = true;
    } else if (note->msg[0]) { // why it was not taken
        size_t len = strlen(note->msg);
        snprintf(note->msg + len, sizeof(note->msg) - len, ": made anew");
    } else {
        snprintf(note->msg, sizeof(note->msg), "%.200s: %.0f MB of packed weights kept", p->path, megabytes(&walk));
    }
    free(walk.content.pieces);
}
