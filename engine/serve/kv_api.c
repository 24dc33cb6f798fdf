// The C API of kvevent.h: the reader's side of the log.
#include "engine/serve/engine.h"

#include <errno.h>
#include <tokfs/kvevent.h>

_Static_assert((int)TOKFS_KV_SNAPSHOT_END == (int)KV_SNAPSHOT_END, "the same kinds");

int tokfs_kv_open(struct tokfs_engine *engine)
{
    return engine->runner.radix.log ? kv_log_enable(&engine->kv_log) : -EOPNOTSUPP;
}

int tokfs_kv_poll(struct tokfs_engine *engine, struct tokfs_kv_event *ret)
{
    struct kv_log *log = &engine->kv_log;
    if (!kv_log_is_on(log)) {
        return 0;
    }
    if (engine->has_kv_record && kv_log_take(log)) {
        wake_notify(&engine->wake);
    }
    const struct kv_record *record = kv_log_peek(log);
    engine->has_kv_record = record != NULL;
    if (!record) {
        return 0;
    }
    *ret = (struct tokfs_kv_event){ .kind = (enum tokfs_kv_kind)record->kind,
                                    .epoch = record->epoch,
                                    .seq = record->seq,
                                    .hash = record->hash,
                                    .parent = record->parent,
                                    .is_first = record->is_first,
                                    .is_on_host = record->tier == PAGE_ON_HOST,
                                    .tokens = record->tokens,
                                    .n_tokens = record->n_tokens };
    return 1;
}

void tokfs_kv_snapshot(struct tokfs_engine *engine)
{
    kv_log_request_snapshot(&engine->kv_log);
    wake_notify(&engine->wake);
}
