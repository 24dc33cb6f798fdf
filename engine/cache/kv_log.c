#include "engine/cache/kv_log.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RECORDS_BYTES (8u << 20)

void kv_log_init(struct kv_log *log, uint32_t page_tokens, uint64_t epoch)
{
    *log = (struct kv_log){ .page_tokens = page_tokens, .epoch = epoch };
    log->record_bytes = (sizeof(struct kv_record) + page_tokens * sizeof(int32_t) + 7) & ~(size_t)7;
    log->n_records = 64;
    while ((size_t)2 * log->n_records * log->record_bytes <= RECORDS_BYTES) {
        log->n_records *= 2;
    }
}

void kv_log_deinit(struct kv_log *log)
{
    free(log->records);
    log->records = NULL;
}

static struct kv_record *record_at(const struct kv_log *log, uint32_t at)
{
    return (struct kv_record *)(void *)(log->records + (size_t)(at & (log->n_records - 1)) * log->record_bytes);
}

// ---- the reader ----------------------------------------------------------------------------------------------------

int kv_log_enable(struct kv_log *log)
{
    if (atomic_load(&log->is_on)) {
        return 0;
    }
    log->records = calloc(log->n_records, log->record_bytes);
    if (!log->records) {
        return -ENOMEM;
    }
    atomic_store_explicit(&log->is_on, true, memory_order_release);
    return 0;
}

void kv_log_request_snapshot(struct kv_log *log)
{
    atomic_store(&log->wants_snapshot, true);
}

const struct kv_record *kv_log_peek(const struct kv_log *log)
{
    uint32_t head = atomic_load_explicit(&log->head, memory_order_relaxed);
    return head != atomic_load_explicit(&log->tail, memory_order_acquire) ? record_at(log, head) : NULL;
}

bool kv_log_take(struct kv_log *log)
{
    uint32_t head = atomic_load_explicit(&log->head, memory_order_relaxed) + 1;
    uint32_t n_left = atomic_load(&log->tail) - head;
    assert(n_left < log->n_records);
    atomic_store(&log->head, head);
    return n_left == log->n_records / 2 || n_left == 0;
}

// ---- the engine thread ---------------------------------------------------------------------------------------------

uint32_t kv_log_room(const struct kv_log *log)
{
    return log->n_records - (log->filled - atomic_load(&log->head));
}

static void put(struct kv_log *log, const struct kv_record *record, const int32_t *tokens)
{
    struct kv_record *to = record_at(log, log->filled++);
    *to = *record;
    if (tokens) {
        memcpy(to->tokens, tokens, log->page_tokens * sizeof(*tokens));
    }
}

// The reader has caught up: it hears that it missed something.
static void begin_epoch(struct kv_log *log)
{
    log->is_losing = false;
    log->epoch++;
    put(log, &(struct kv_record){ .epoch = log->epoch, .seq = log->seq + 1, .kind = KV_EPOCH }, NULL);
}

void kv_log_add(struct kv_log *log, enum kv_kind kind, const struct kv_block *block)
{
    static const struct kv_block none = { 0 };
    if (!kv_log_is_on(log)) {
        return;
    }
    if (log->is_losing && kv_log_room(log) >= log->n_records / 2) {
        begin_epoch(log);
    }
    if (log->is_losing || kv_log_room(log) == 0) {
        log->is_losing = true;
        log->walk_at = 0; // the snapshot is none any more
        return;
    }
    block = block ? block : &none;
    put(log,
        &(struct kv_record){ .epoch = log->epoch,
                             .seq = log->seq + 1,
                             .hash = block->hash,
                             .parent = block->parent,
                             .kind = (uint8_t)kind,
                             .tier = (uint8_t)block->tier,
                             .is_first = block->is_first,
                             .n_tokens = block->tokens ? log->page_tokens : 0 },
        block->tokens);
}

bool kv_log_publish(struct kv_log *log)
{
    if (!kv_log_is_on(log)) {
        return false;
    }
    if (log->is_losing && kv_log_room(log) >= log->n_records / 2) {
        begin_epoch(log);
    }
    if (log->filled == atomic_load_explicit(&log->tail, memory_order_relaxed)) {
        return false;
    }
    log->seq++;
    atomic_store(&log->tail, log->filled);
    return true;
}

bool kv_log_has_work(const struct kv_log *log)
{
    return kv_log_is_on(log) && (atomic_load(&log->wants_snapshot) || log->walk_at != 0 || log->is_losing) &&
           kv_log_room(log) >= log->n_records / 2;
}
