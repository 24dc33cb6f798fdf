// The fixed tree and the texts of its files that only tell.
#include "fs/root_files.h"
#include "engine/base/json.h"
#include "fs/ask.h"
#include "fs/journal.h"
#include "fs/metrics.h"
#include "fs/mount.h"
#include "fs/session_table.h"
#include "fs/sessions_dir.h"
#include "fs/transaction.h"
#include "fs/turn.h"
#include <inttypes.h>
#include <string.h>

static const char readme[] =
    "This is a language model. Run these in this directory.\n"
    "\n"
    "Ask once (text in, text out, on one descriptor):\n"
    "    { echo 'Why is the sky blue?' >&3; cat <&3; } 3<>ask\n"
    "\n"
    "Hold a conversation (a directory): echo speaks, cat listens, rmdir forgets:\n"
    "    mkdir sessions/bob\n"
    "    echo 'Be terse' > sessions/bob/system;  echo 'temperature 0.2' > sessions/bob/params\n"
    "    echo hi > sessions/bob/input && cat sessions/bob/output\n"
    "    echo more > sessions/bob/input; cat sessions/bob/output\n"
    "    cp sessions/bob/text answer.txt; cp sessions/bob/messages chat.json\n"
    "    echo cancel > sessions/bob/ctl;  read -r st < sessions/bob/wait\n"
    "    rmdir sessions/bob\n"
    "\n"
    "Send a chat-completions JSON and get a conversation of it:\n"
    "    exec 3<>sessions/new; printf %s \"$json\" >&3; read -r id <&3; exec 3>&-; cat sessions/$id/output\n"
    "    echo \"$json\" > sessions/new && cat sessions/last/output\n"
    "    cat sessions/error      # why the last one was refused\n"
    "\n"
    "Exactly what curl would get:\n"
    "    { cat request.json >&3; cat <&3; } 3<>v1/chat/completions\n"
    "    { echo '{\"prompt\": \"Once upon\"}' >&3; cat <&3; } 3<>v1/completions\n"
    "\n"
    "Token ids in, token ids and log probabilities out:\n"
    "    { echo '{\"input_ids\": [1, 2], \"return_logprob\": true}' >&3; cat <&3; } 3<>generate\n"
    "\n"
    "What the model reads, without running it:\n"
    "    { echo '{\"content\": \"Hello\"}' >&3; cat <&3; } 3<>tokenize          # and detokenize\n"
    "    { echo '{\"messages\": [{\"role\": \"user\", \"content\": \"Hi\"}]}' >&3; cat <&3; } 3<>apply-template\n"
    "    cat models/*/info.json models/*/chat_template\n"
    "\n"
    "Also: v1/models health metrics. The manual: man 5 tokfs\n";

static int readme_render(struct file *file, struct strbuf *out)
{
    (void)file;
    return strbuf_append(out, (struct str){ readme, sizeof(readme) - 1 });
}

static int health_render(struct file *file, struct strbuf *out)
{
    const struct journal *journal = file->mount->journal;
    if (journal && journal->error) {
        char path[256];
        return strbuf_printf(out, "%s: %s%s\n", journal_path(journal, path, sizeof(path)), strerror(-journal->error),
                             journal->options.continues ? " (goes on without it)" : "");
    }
    return strbuf_append(out, mount_is_draining(file->mount) ? STR("shutting down\n") : STR("ok\n"));
}

static int models_render(struct file *file, struct strbuf *out)
{
    const struct tokfs_engine_info *info = &file->mount->info;
    struct json_writer w;
    json_writer_init(&w, out);
    json_write_object_begin(&w);
    json_write_key(&w, "object");
    json_write_cstr(&w, "list");
    json_write_key(&w, "data");
    json_write_array_begin(&w);
    json_write_object_begin(&w);
    json_write_key(&w, "id");
    json_write_cstr(&w, info->model);
    json_write_key(&w, "object");
    json_write_cstr(&w, "model");
    json_write_key(&w, "created");
    json_write_i64(&w, info->created);
    json_write_key(&w, "owned_by");
    json_write_cstr(&w, "tokfs");
    json_write_key(&w, "max_model_len");
    json_write_u64(&w, info->n_ctx);
    json_write_object_end(&w);
    json_write_array_end(&w);
    json_write_object_end(&w);
    return strbuf_append_byte(out, '\n');
}

// The files into which one writes a request and reads its response: a row needs but a name and a kind.
#define TRANSACTION_FILE(file_name, kind)                                                                              \
    {                                                                                                                  \
        .name = (file_name), .mode = S_IFREG | 0666, .flags = NODE_FRESH | NODE_SHARED | NODE_STREAM,                  \
        .open = transaction_open, .close = transaction_close, .read = transaction_read, .write = transaction_write,    \
        .write_done = transaction_write_done, .write_abort = transaction_write_abort, .give_up = transaction_give_up,  \
        .flush = transaction_flush, .is_readable = transaction_is_readable, .turn_kind = (kind)                        \
    }

static const struct node_type chat_nodes[] = {
    TRANSACTION_FILE("completions", &turn_kind_chat),
    { 0 },
};

static const struct node_type v1_nodes[] = {
    { .name = "models", .mode = S_IFREG | 0444, .flags = NODE_SIZED, .render = models_render },
    { .name = "chat", .mode = S_IFDIR | 0555, .children = chat_nodes },
    TRANSACTION_FILE("completions", &turn_kind_completion),
    TRANSACTION_FILE("embeddings", &turn_kind_embeddings),
    { 0 },
};

// K and V are made of prompts: for the owner of the mount only.
static const struct node_type kv_nodes[] = {
    { .name = "stats", .mode = S_IFREG | 0400, .render = kv_stats_render },
    { .name = "events",
      .mode = S_IFREG | 0400,
      .flags = NODE_FRESH | NODE_STREAM | NODE_UNLISTED,
      .open = kv_events_open,
      .close = kv_events_close,
      .read = kv_events_read,
      .is_readable = kv_events_is_readable },
    { .name = "snapshot",
      .mode = S_IFREG | 0400,
      .flags = NODE_FRESH,
      .open = kv_snapshot_open,
      .close = kv_snapshot_close,
      .read = kv_snapshot_read },
    { 0 },
};

static const struct node_type root_nodes[] = {
    { .name = "README", .mode = S_IFREG | 0444, .flags = NODE_SIZED, .render = readme_render },
    { .name = "health", .mode = S_IFREG | 0444, .flags = NODE_SIZED, .render = health_render },
    { .name = "metrics", .mode = S_IFREG | 0444, .render = metrics_render },
    { .name = "ask",
      .mode = S_IFREG | 0666,
      .flags = NODE_FRESH | NODE_STREAM,
      .open = ask_open,
      .close = ask_close,
      .read = ask_read,
      .write = ask_write,
      .write_done = ask_write_done,
      .write_abort = ask_write_abort,
      .give_up = ask_give_up,
      .flush = ask_flush,
      .is_readable = ask_is_readable },
    { .name = "v1", .mode = S_IFDIR | 0555, .children = v1_nodes },
    TRANSACTION_FILE("generate", &turn_kind_generate),
    TRANSACTION_FILE("retrieve_from_text", &turn_kind_retrieve),
    TRANSACTION_FILE("tokenize", &turn_kind_tokenize),
    TRANSACTION_FILE("detokenize", &turn_kind_detokenize),
    TRANSACTION_FILE("apply-template", &turn_kind_apply_template),
    { .name = "models", .mode = S_IFDIR | 0555, .flags = NODE_MODELS },
    { .name = "kv", .mode = S_IFDIR | 0500, .children = kv_nodes },
    { .name = "sessions", .mode = S_IFDIR | 01777, .flags = NODE_SESSIONS, .children = sessions_nodes },
    { 0 },
};

const struct node_type root_type = { .name = "/", .mode = S_IFDIR | 0555, .children = root_nodes };
