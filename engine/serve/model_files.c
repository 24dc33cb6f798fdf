// Copies in memory: a file that is replaced or cut later changes nothing of what is served, and reading one never waits
// for a disk.
#include "engine/serve/model_files.h"

#include "engine/model/model_text.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define FILE_BYTES_MAX ((size_t)512 << 20) // as the tokenizer's own limit

static int add(struct model_files *files, const char *name, struct strbuf *bytes, struct err *err)
{
    size_t len = bytes->len;
    char *ptr = strbuf_steal(bytes);
    if (!ptr) {
        return err_set(err, -ENOMEM, "out of memory for %s", name);
    }
    assert(files->n < MODEL_FILES_MAX);
    files->files[files->n++] = (struct tokfs_model_file){ name, ptr, len };
    return 0;
}

static int add_file(struct model_files *files, const char *dir, const char *name, struct err *err)
{
    struct strbuf bytes;
    strbuf_init(&bytes, 0);
    int rc = model_text_read(dir, name, FILE_BYTES_MAX, &bytes, err);
    if (rc == 0) {
        rc = add(files, name, &bytes, err);
    }
    strbuf_deinit(&bytes);
    return rc == -ENOENT || rc == -ENOTDIR ? 0 : rc;
}

static int add_template(struct model_files *files, const char *name, const struct chat_template *tmpl, struct err *err)
{
    struct strbuf bytes;
    if (!tmpl) {
        return 0;
    }
    strbuf_init(&bytes, 0);
    strbuf_append(&bytes, chat_template_source(tmpl));
    int rc = add(files, name, &bytes, err);
    strbuf_deinit(&bytes);
    return rc;
}

int model_files_load(struct model_files *ret, const char *dir, const struct chat_format *format, struct err *err)
{
    static const char *const names[] = { "config.json", "generation_config.json", "tokenizer.json",
                                         "tokenizer_config.json", "tokenizer.gguf" };
    struct model_files files = { 0 };
    int rc = 0;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && rc == 0; i++) {
        rc = add_file(&files, dir, names[i], err);
    }
    rc = rc == 0 ? add_template(&files, "chat_template", format->tmpl, err) : rc;
    rc = rc == 0 ? add_template(&files, "chat_template.tool_use", format->tool_tmpl, err) : rc;
    if (rc < 0) {
        model_files_deinit(&files);
        return rc;
    }
    *ret = files;
    return 0;
}

void model_files_deinit(struct model_files *files)
{
    for (size_t i = 0; i < files->n; i++) {
        free((char *)(uintptr_t)files->files[i].bytes);
    }
    files->n = 0;
}
