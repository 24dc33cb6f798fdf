// One table, read in both directions.
#include "engine/model/gguf_sampling.h"
#include "engine/base/json.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const struct sampling_key {
    const char *key, *name;
    bool is_count; // 0 and less: none
} sampling_keys[] = {
    { "general.sampling.temp", "temperature", false },
    { "general.sampling.top_k", "top_k", true },
    { "general.sampling.top_p", "top_p", false },
    { "general.sampling.min_p", "min_p", false },
    { "general.sampling.penalty_repeat", "repetition_penalty", false },
};
#define N_KEYS (sizeof(sampling_keys) / sizeof(sampling_keys[0]))

// The number that its authors wrote: the shortest one that is this float.
static double as_written(double value)
{
    char text[32];
    for (int digits = 6; digits <= 9; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, value);
        if (strtof(text, NULL) == (float)value) {
            break;
        }
    }
    return strtod(text, NULL);
}

int gguf_sampling_read(const struct gguf *g, struct strbuf *out, struct err *err)
{
    struct json_writer w;
    size_t n = 0;
    json_writer_init(&w, out);
    json_write_object_begin(&w);
    for (size_t i = 0; i < N_KEYS; i++) {
        const struct sampling_key *k = &sampling_keys[i];
        double value = NAN;
        int rc = gguf_get_f64(g, k->key, &value, err);
        if (rc < 0) {
            return rc;
        }
        if (!isfinite(value) || (k->is_count && value < 1)) {
            continue;
        }
        json_write_key(&w, k->name);
        if (k->is_count) {
            json_write_i64(&w, value < 1e9 ? (int64_t)value : 1000000000);
        } else {
            json_write_double(&w, as_written(value));
        }
        n++;
    }
    json_write_object_end(&w);
    if (n == 0) {
        return err_set(err, -ENOENT, "%s: has no general.sampling keys", g->file);
    }
    return out->error ? err_set(err, out->error, "%s: no memory for its metadata", g->file) : 0;
}

int gguf_sampling_write(struct str generation_json, struct gguf_writer *w, struct err *err)
{
    struct arena arena;
    const struct json *root;
    arena_init(&arena, 0);
    int rc = json_parse(&arena, generation_json, &root, err);
    if (rc == 0 && root->type != JSON_OBJECT) {
        rc = err_set(err, -EINVAL, "the top level is %s, not an object", json_type_name(root->type));
    }
    const struct json *samples = rc == 0 ? json_get(root, STR("do_sample")) : NULL;
    bool is_greedy = samples && samples->type == JSON_BOOL && !samples->boolean;
    for (size_t i = 0; rc == 0 && i < N_KEYS; i++) {
        const struct sampling_key *k = &sampling_keys[i];
        const struct json *v = json_get(root, str_from(k->name));
        bool is_given = v && v->type == JSON_NUMBER;
        double value = is_given ? json_get_double(v) : 0;
        if (i == 0 && is_greedy) {
            gguf_write_f32(w, k->key, 0);
        } else if (is_given && k->is_count && value >= 1 && value < 1e9) {
            gguf_write_u32(w, k->key, (uint32_t)value);
        } else if (is_given && !k->is_count) {
            gguf_write_f32(w, k->key, (float)value);
        }
    }
    arena_deinit(&arena);
    return rc;
}
