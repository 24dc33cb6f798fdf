// Rows of constant content: the engine's files are not copied, and the kernel keeps their pages.
#include "fs/model_dir.h"
#include "engine/base/json.h"
#include <assert.h>
#include <errno.h>
#include <string.h>

// A served name may have slashes ("org/model"), which a file's name cannot: they are written as in Hugging Face's
// cache.
static void name_dir(char *out, size_t size, struct str name)
{
    size_t len = 0;
    for (size_t i = 0; i < name.len && len + 3 < size; i++) {
        bool is_slash = name.ptr[i] == '/';
        out[len++] = is_slash ? '-' : name.ptr[i];
        if (is_slash) {
            out[len++] = '-';
        }
    }
    out[len] = 0;
    if (len == 0 || strcmp(out, ".") == 0 || strcmp(out, "..") == 0) {
        strcpy(out, "model");
    }
}

static int write_info(const struct tokfs_engine_info *info, struct strbuf *out)
{
    struct json_writer w;
    json_writer_init(&w, out);
    json_write_object_begin(&w);
    json_write_key(&w, "id");
    json_write_cstr(&w, info->model);
    json_write_key(&w, "architecture");
    json_write_cstr(&w, info->architecture);
    json_write_key(&w, "dtype");
    json_write_cstr(&w, info->dtype);
    json_write_key(&w, "backend");
    json_write_cstr(&w, info->backend);
    const struct {
        const char *key;
        uint64_t value;
    } numbers[] = {
        { "n_params", info->n_params },           { "weight_bytes", info->weight_bytes },
        { "vocab_size", info->n_vocab },          { "max_model_len", info->n_ctx },
        { "kv_bytes", info->kv_bytes },           { "kv_pages", info->n_pages },
        { "host_kv_bytes", info->host_kv_bytes }, { "page_tokens", info->page_tokens },
        { "max_sequences", info->max_sequences }, { "max_queued", info->max_queued },
        { "created", (uint64_t)info->created },
    };
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        json_write_key(&w, numbers[i].key);
        json_write_u64(&w, numbers[i].value);
    }
    json_write_key(&w, "has_chat_template");
    json_write_bool(&w, info->has_chat_template);
    json_write_object_end(&w);
    return strbuf_append_byte(out, '\n');
}

static struct node_type file_row(const char *name, struct str content)
{
    return (struct node_type){
        .name = name, .mode = S_IFREG | 0444, .flags = NODE_CACHED | NODE_CONSTANT, .content = content
    };
}

int model_dir_init(struct model_dir *dir, const struct tokfs_engine *engine)
{
    struct tokfs_engine_info info;
    size_t n;
    const struct tokfs_model_file *files = tokfs_engine_model_files(engine, &n);
    assert(n <= MODEL_DIR_FILES_MAX);
    tokfs_engine_get_info(engine, &info);
    *dir = (struct model_dir){ 0 };
    strbuf_init(&dir->info, 0);
    name_dir(dir->name, sizeof(dir->name), str_from(info.model));
    int r = write_info(&info, &dir->info);
    dir->dirs[0] = (struct node_type){ .name = dir->name, .mode = S_IFDIR | 0555, .children = dir->files };
    dir->files[0] = file_row("info.json", strbuf_str(&dir->info));
    for (size_t i = 0; i < n; i++) {
        dir->files[1 + i] = file_row(files[i].name, (struct str){ files[i].bytes, files[i].len });
    }
    return r < 0 ? -ENOMEM : 0;
}

void model_dir_deinit(struct model_dir *dir)
{
    strbuf_deinit(&dir->info);
}
