// Directory or file: nobody else needs to know.
#include "engine/model/model_text.h"
#include "engine/base/gguf_write.h"
#include "engine/model/file.h"
#include "engine/model/gguf_config.h"
#include "engine/model/gguf_sampling.h"
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

#define TOKENIZER_BYTES_MAX ((size_t)512 << 20) // as the tokenizer's own limit

bool model_is_file(const char *path)
{
    struct stat st;
    // One that is not there is what it would be: its name is in the error then, not that of a file within it.
    return stat(path, &st) == 0 ? !S_ISDIR(st.st_mode) : str_ends_with(str_from(path), STR(".gguf"));
}

static int write_vocabulary(const struct gguf *g, struct strbuf *out, struct err *err)
{
    struct gguf_writer w;
    gguf_writer_init(&w);
    for (size_t i = 0; i < g->n_entries; i++) {
        struct str key = g->entries[i].key;
        if (str_starts_with(key, STR("tokenizer.")) || str_eq(key, STR("general.architecture"))) {
            gguf_write_entry(&w, &g->entries[i]);
        }
    }
    int rc = gguf_write_head(&w, out);
    gguf_writer_deinit(&w);
    return rc < 0 ? err_set(err, rc, "%s: no memory for its vocabulary", g->file) : 0;
}

static int write_text(const struct gguf_set *set, const char *name, struct strbuf *out, struct err *err)
{
    return strcmp(name, "config.json") == 0              ? gguf_config_write(set, out, err)
           : strcmp(name, "tokenizer_config.json") == 0  ? gguf_tokenizer_config_write(set, out, err)
           : strcmp(name, "generation_config.json") == 0 ? gguf_sampling_read(gguf_set_head(set), out, err)
                                                         : write_vocabulary(gguf_set_head(set), out, err);
}

int model_text_read(const char *path, const char *name, size_t bytes_max, struct strbuf *out, struct err *err)
{
    if (!model_is_file(path)) {
        return file_read(path, name, bytes_max, out, err);
    }
    if (strcmp(name, "config.json") != 0 && strcmp(name, "tokenizer_config.json") != 0 &&
        strcmp(name, "tokenizer.gguf") != 0 && strcmp(name, "generation_config.json") != 0) {
        return err_set(err, -ENOENT, "%s: has no %s", path, name);
    }
    struct gguf_set *set = NULL;
    int rc = gguf_set_open(path, &set, err);
    rc = rc == 0 ? write_text(set, name, out, err) : rc;
    gguf_set_free(set);
    return rc;
}

// Arrays with their lengths: where one ends and the next begins is part of it.
static uint64_t hash_vocabulary(const struct gguf *g)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < g->n_entries; i++) { // by key
        const struct gguf_entry *e = &g->entries[i];
        if (str_starts_with(e->key, STR("tokenizer.ggml."))) {
            const uint64_t form[] = { e->type, e->item_type, e->n_items, e->bytes.len };
            hash = XXH3_64bits_withSeed(e->key.ptr, e->key.len, hash);
            hash = XXH3_64bits_withSeed(form, sizeof(form), hash);
            hash = XXH3_64bits_withSeed(e->bytes.ptr, e->bytes.len, hash);
        }
    }
    return hash;
}

int model_text_hash_tokenizer(const char *path, uint64_t *ret, struct err *err)
{
    struct gguf_set *set = NULL;
    struct strbuf text;
    if (model_is_file(path)) {
        int rc = gguf_set_open(path, &set, err);
        *ret = rc == 0 ? hash_vocabulary(gguf_set_head(set)) : *ret;
        gguf_set_free(set);
        return rc;
    }
    strbuf_init(&text, 0);
    int rc = file_read(path, "tokenizer.json", TOKENIZER_BYTES_MAX, &text, err);
    *ret = rc == 0 ? XXH3_64bits(text.ptr, text.len) : *ret;
    strbuf_deinit(&text);
    return rc;
}
