// Directory or file: nobody else needs to know.
#include "engine/model/model_text.h"
#include "engine/model/file.h"
#include "engine/model/gguf_config.h"
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

bool model_is_file(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && !S_ISDIR(st.st_mode);
}

int model_text_read(const char *path, const char *name, size_t bytes_max, struct strbuf *out, struct err *err)
{
    if (!model_is_file(path)) {
        return file_read(path, name, bytes_max, out, err);
    }
    bool is_config = strcmp(name, "config.json") == 0;
    if (!is_config && strcmp(name, "tokenizer_config.json") != 0) {
        return err_set(err, -ENOENT, "%s: has no %s", path, name);
    }
    struct gguf_set *set = NULL;
    int rc = gguf_set_open(path, &set, err);
    if (rc == 0) {
        rc = is_config ? gguf_config_write(set, out, err) : gguf_tokenizer_config_write(set, out, err);
    }
    gguf_set_free(set);
    return rc;
}
