// Loading a tokenizer.json: each member goes to the part that knows it, in the order in which the parts depend on each
// other.
//
// Members that say how to batch (truncation, padding) are ignored, as transformers does: they belong to training runs.
#include "engine/base/gguf.h"
#include "engine/text/spec.h"
#include "engine/text/tokenizer_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_BYTES_MAX (512u << 20)

static int check_root(const struct json *root, struct err *err)
{
    struct str version = STR("1.0");
    if (root->type != JSON_OBJECT) {
        return err_set(err, -EINVAL, "object expected, %s found", json_type_name(root->type));
    }
    int r = spec_str(root, "tokenizer", "version", SPEC_OPTIONAL, &version, err);
    if (r == 0 && !str_eq(version, STR("1.0"))) {
        return err_set(err, -EOPNOTSUPP, "version: \"%.*s\" is not supported, only 1.0", STR_ARG(version));
    }
    return r;
}

static int load_added(struct tokenizer *tok, const struct json *root, const struct json *config, struct err *err)
{
    const struct json *list = json_get(root, STR("added_tokens"));
    if (list && list->type != JSON_ARRAY) {
        return err_set(err, -EINVAL, "added_tokens: array expected, %s found", json_type_name(list->type));
    }
    struct regex_scratch regex = { 0 };
    struct normalizer_scratch scratch = { .regex = &regex };
    int r = added_tokens_init(&tok->added, list, config, &tok->bpe, &tok->normalizer, &scratch, &tok->table, err);
    normalizer_scratch_deinit(&scratch);
    regex_scratch_deinit(&regex);
    return r;
}

static int index_ids(struct tokenizer *tok)
{
    tok->n_ids = tok->bpe.written.n_ids;
    for (size_t i = 0; i < tok->added.n_tokens; i++) {
        uint32_t id = tok->added.tokens[i].id;
        tok->n_ids = id >= tok->n_ids ? id + 1 : tok->n_ids;
    }
    tok->added_of_id = calloc(tok->n_ids + 1, sizeof *tok->added_of_id);
    if (!tok->added_of_id) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < tok->added.n_tokens; i++) {
        tok->added_of_id[tok->added.tokens[i].id] = (uint32_t)i + 1;
    }
    return 0;
}

// Special tokens stand for their written form; others for what the decoder makes of them. The model keeps the bytes of
// byte-level tokens already: with the plain byte-level decoder those are not kept twice.
static int index_bytes(struct tokenizer *tok)
{
    struct strbuf bytes = { 0 }, turns[2] = { 0 };
    int r = vocab_table_init(&tok->token_bytes, tok->n_ids);
    bool is_kept = tok->bpe.is_byte_level && decoder_is_byte_level(&tok->decoder);
    for (size_t id = 0; id < tok->n_ids && r == 0; id++) {
        struct str form;
        bool is_skippable;
        if ((is_kept && vocab_table_has(&tok->bpe.bytes, (int64_t)id) && tok->added_of_id[id] == 0) ||
            !tokenizer_token_form(tok, (int32_t)id, &form, &is_skippable)) {
            continue;
        }
        strbuf_reset(&bytes);
        r = tokenizer_is_special(tok, (int32_t)id)
                ? strbuf_append(&bytes, tok->added.tokens[tok->added_of_id[id] - 1].content)
                : decoder_append_bytes(&tok->decoder, form, turns, &bytes);
        r = r ? r : vocab_table_set(&tok->token_bytes, (uint32_t)id, strbuf_str(&bytes));
    }
    strbuf_deinit(&bytes);
    strbuf_deinit(&turns[0]);
    strbuf_deinit(&turns[1]);
    return r;
}

static int load_parts(struct tokenizer *tok, const struct json *root, const struct json *model,
                      const struct json *config, struct err *err)
{
    int r = check_root(root, err);
    if (r == 0 && !model) {
        r = spec_container(root, "tokenizer", "model", JSON_OBJECT, SPEC_REQUIRED, &model, err);
    }
    r = r ? r : bpe_check_type(model, err);
    r = r ? r : normalizer_init(&tok->normalizer, json_get(root, STR("normalizer")), &tok->table, err);
    r = r ? r : pretokenizer_init(&tok->pretokenizer, json_get(root, STR("pre_tokenizer")), &tok->table, err);
    r = r ? r : bpe_init(&tok->bpe, model, tok->pretokenizer.is_byte_level, err);
    r = r ? r : load_added(tok, root, config, err);
    r = r ? r : post_processor_init(&tok->post_processor, json_get(root, STR("post_processor")), err);
    r = r ? r : decoder_init(&tok->decoder, json_get(root, STR("decoder")), &tok->table, err);
    r = r ? r : index_ids(tok);
    return r ? r : index_bytes(tok);
}

int tokenizer_from_parts(const struct json *root, const struct json *model, const struct json *config,
                         struct tokenizer **ret, struct err *err)
{
    struct tokenizer *tok = calloc(1, sizeof *tok);
    int r = tok ? 0 : -ENOMEM;
    if (r == 0) {
        unicode_table_init(&tok->table);
        r = load_parts(tok, root, model, config, err);
    }
    if (r < 0) {
        tokenizer_free(tok);
        return r == -ENOMEM ? err_set(err, r, "out of memory") : r;
    }
    *ret = tok;
    return 0;
}

// config_json: the text of a tokenizer_config.json, or empty.
static int from_json(struct str json, struct str config_json, struct tokenizer **ret, struct err *err)
{
    struct arena arena;
    arena_init(&arena, 0);
    const struct json *root = NULL, *config = NULL;
    int r = json_parse(&arena, json, &root, err);
    if (r == 0 && config_json.len > 0) {
        r = json_parse(&arena, config_json, &config, err);
        r = r ? (err_prefix(err, "tokenizer_config.json"), r) : 0;
    }
    r = r ? r : tokenizer_from_parts(root, NULL, config, ret, err);
    arena_deinit(&arena);
    return r;
}

int tokenizer_from_json(struct str json, struct tokenizer **ret, struct err *err)
{
    return from_json(json, (struct str){ NULL, 0 }, ret, err);
}

void tokenizer_free(struct tokenizer *tok)
{
    if (!tok) {
        return;
    }
    normalizer_deinit(&tok->normalizer);
    pretokenizer_deinit(&tok->pretokenizer);
    bpe_deinit(&tok->bpe);
    spm_deinit(&tok->spm);
    added_tokens_deinit(&tok->added);
    post_processor_deinit(&tok->post_processor);
    decoder_deinit(&tok->decoder);
    vocab_table_deinit(&tok->token_bytes);
    free(tok->added_of_id);
    free(tok);
}

static int read_file(int fd, struct strbuf *text)
{
    int r = 0;
    for (;;) {
        r = strbuf_reserve(text, 1 << 16);
        if (r < 0) {
            return r;
        }
        ssize_t n = read(fd, text->ptr + text->len, text->cap - text->len - 1);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n < 0 ? -errno : 0;
        }
        text->len += (size_t)n;
    }
}

static int open_gguf(const char *path, struct tokenizer **ret, struct err *err)
{
    struct gguf *g = NULL;
    int r = gguf_open(path, &g, err);
    r = r ? r : tokenizer_from_gguf(g, ret, err);
    gguf_free(g);
    return r;
}

// By what the file says of itself, or else by its name, so that a damaged one is not taken for JSON.
static bool is_gguf(int fd, const char *path)
{
    char head[4];
    return str_ends_with(str_from(path), STR(".gguf")) ||
           (pread(fd, head, sizeof head, 0) == sizeof head && gguf_is_magic((struct str){ head, sizeof head }));
}

// A descriptor. In a model's directory only a regular file will do: a pipe in its place would wait for ever.
static int open_file(const char *path, bool is_of_model, struct err *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | (is_of_model ? O_NONBLOCK : 0));
    if (fd < 0) {
        return err_set(err, -errno, "%s: %s", path, strerror(errno));
    }
    if (is_of_model && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))) {
        close(fd);
        return err_set(err, -EINVAL, "%s: not a regular file", path);
    }
    return fd;
}

// Appends the whole of an open file. 0 or -errno with err set.
static int read_named(int fd, const char *name, struct strbuf *text, struct err *err)
{
    struct stat st;
    strbuf_init(text, FILE_BYTES_MAX);
    if (fstat(fd, &st) == 0 && st.st_size > 0 && st.st_size < FILE_BYTES_MAX) {
        strbuf_reserve(text, (size_t)st.st_size + 1);
    }
    int r = read_file(fd, text);
    return r < 0 ? err_set(err, r, "%s: %s", name, strerror(-r)) : 0;
}

// Beside a directory's tokenizer.json; it need not be there.
static int read_config(const char *dir, struct strbuf *text, struct err *err)
{
    struct strbuf name = { 0 };
    struct err why = { 0 };
    int r = strbuf_printf(&name, "%s/tokenizer_config.json", dir);
    int fd = r == 0 ? open_file(name.ptr, true, &why) : -1;
    if (r == 0 && fd < 0) {
        r = fd == -ENOENT ? 0 : err_set(err, fd, "%s", why.msg);
    } else if (r == 0) {
        r = read_named(fd, name.ptr, text, err);
        close(fd);
    }
    strbuf_deinit(&name);
    return r;
}

static int open_json(int fd, const char *name, const char *dir, struct tokenizer **ret, struct err *err)
{
    struct strbuf text = { 0 }, config = { 0 };
    int r = read_named(fd, name, &text, err);
    r = r || !dir ? r : read_config(dir, &config, err);
    if (r == 0) {
        r = from_json(strbuf_str(&text), strbuf_str(&config), ret, err);
        r = r ? (err_prefix(err, "%s", name), r) : 0;
    }
    strbuf_deinit(&text);
    strbuf_deinit(&config);
    return r;
}

static int open_in(const char *dir, const char *file, struct strbuf *name, struct err *err)
{
    strbuf_reset(name);
    int r = strbuf_printf(name, "%s/%s", dir, file);
    return r < 0 ? r : open_file(name->ptr, true, err);
}

// A directory's; in that of a GGUF model in a mount it is a GGUF file.
static int open_of_dir(const char *dir, struct strbuf *name, struct err *err)
{
    struct err unused = { 0 };
    int fd = open_in(dir, "tokenizer.json", name, err);
    return fd == -ENOENT && (fd = open_in(dir, "tokenizer.gguf", name, &unused)) < 0 ? -ENOENT : fd;
}

int tokenizer_open(const char *path, struct tokenizer **ret, struct err *err)
{
    struct strbuf name = { 0 };
    struct stat st;
    bool is_dir = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
    int r = is_dir ? 0 : strbuf_printf(&name, "%s", path);
    int fd = r < 0 ? r : is_dir ? open_of_dir(path, &name, err) : open_file(path, false, err);
    if (fd < 0) {
        r = fd;
    } else {
        r = is_gguf(fd, name.ptr) ? open_gguf(name.ptr, ret, err)
                                  : open_json(fd, name.ptr, is_dir ? path : NULL, ret, err);
        close(fd);
    }
    strbuf_deinit(&name);
    return r;
}
