#include "tools/bridge/kv_source.h"
#include "engine/base/log.h"
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RETRY_NS        2000000000u
#define PACE_NS         100000000u // steps that are shorter are read together: each read interrupts who computes
#define LINE_BYTES_MAX  (8u << 20)
#define SCRATCH_MAX     (256u << 20)
#define STEP_BLOCKS_MAX 512u // of one batch: a longer step takes several

// A file that is read by lines.
struct line_file {
    struct exchange *exchange; // NULL: closed
    struct strbuf held;        // what was read and not taken
    char path[PATH_MAX];
};

struct kv_source {
    struct loop_op retry;
    struct loop *loop;
    struct exchange_pool *files;
    struct kv_sink sinks[KV_SINKS_MAX];
    unsigned n_sinks;
    struct line_file events, snapshot;
    bool is_wanted; // a snapshot
    bool is_paused; // kv/events has more, and waits for the snapshot
    bool is_told;   // that the mount cannot be heard
    bool is_stopped;

    struct arena scratch; // of the lines in hand
    uint64_t step_seq;    // of the step in hand, whose messages these are
    struct kv_message *messages;
    size_t n_messages, cap_messages, n_blocks;

    struct kv_snapshot *making; // NULL: no sink wants one whole
    uint64_t n_told;            // blocks of it
    bool is_snapshot_begun;
    bool is_snapshot_over; // its last line was read
    uint32_t block_size;
    struct kv_source_counts counts;
};

static void begin_snapshot(struct kv_source *source);
static void close_all(struct kv_source *source, const char *path, int error);

// ---- steps ---------------------------------------------------------------------------------------------------------

double kv_source_time_s(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void flush_step(struct kv_source *source)
{
    struct kv_batch batch = {
        .time_s = kv_source_time_s(), .rank = -1, .n_messages = source->n_messages, .messages = source->messages
    };
    for (unsigned i = 0; i < source->n_sinks && batch.n_messages > 0; i++) {
        source->sinks[i].step(source->sinks[i].ctx, &batch);
    }
    source->counts.n_batches += batch.n_messages > 0;
    source->n_messages = source->n_blocks = 0;
}

// Routers call the tier that is computed with "gpu", and what waits in the host's memory "cpu".
static struct str medium_of(const struct kv_message *message)
{
    return str_eq(message->medium, STR("host"))  ? STR("cpu")
           : str_eq(message->medium, STR("cpu")) ? STR("gpu")
                                                 : message->medium;
}

static int add_message(struct kv_source *source, const struct kv_message *message)
{
    if (source->n_messages == source->cap_messages) {
        size_t cap = source->cap_messages ? 2 * source->cap_messages : 16;
        struct kv_message *messages = arena_alloc_array(&source->scratch, cap, sizeof(*messages));
        if (!messages) {
            return -ENOMEM;
        }
        if (source->n_messages > 0) {
            memcpy(messages, source->messages, source->n_messages * sizeof(*messages));
        }
        source->messages = messages;
        source->cap_messages = cap;
    }
    struct kv_message *added = &source->messages[source->n_messages++];
    *added = *message;
    added->medium = medium_of(message);
    source->n_blocks += message->n_blocks;
    *(message->kind == KV_MESSAGE_STORED ? &source->counts.n_stored : &source->counts.n_removed) += message->n_blocks;
    return 0;
}

// After the lines in hand.
static void forget_lines(struct kv_source *source)
{
    flush_step(source);
    source->messages = NULL;
    source->cap_messages = 0;
    arena_reset(&source->scratch);
}

static void lose(struct kv_source *source)
{
    source->n_messages = source->n_blocks = 0;
    source->counts.n_losses++;
    for (unsigned i = 0; i < source->n_sinks; i++) {
        source->sinks[i].lost(source->sinks[i].ctx);
    }
}

// ---- lines ---------------------------------------------------------------------------------------------------------

// A whole line off the front of what is held, from *at on.
static bool next_line(const struct line_file *file, size_t *at, struct str *ret)
{
    struct str rest = str_skip(strbuf_str(&file->held), *at);
    const char *end = rest.len > 0 ? memchr(rest.ptr, '\n', rest.len) : NULL;
    if (end) {
        *ret = str_take(rest, (size_t)(end - rest.ptr));
        *at += ret->len + 1;
    }
    return end != NULL;
}

static void drop_lines(struct line_file *file, size_t n)
{
    if (n > 0) {
        memmove(file->held.ptr, file->held.ptr + n, file->held.len - n);
        file->held.len -= n;
    }
}

static int decode(struct kv_source *source, const struct line_file *file, struct str text, struct kv_line *ret)
{
    struct err err = { 0 };
    int r = kv_line_decode(&source->scratch, text, ret, &err);
    if (r < 0) {
        log_warn("%s: %s", file->path, err.msg);
    }
    return r;
}

// ---- kv/events -----------------------------------------------------------------------------------------------------

static int take_event(struct kv_source *source, struct str text)
{
    struct kv_line line;
    int r = decode(source, &source->events, text, &line);
    if (r < 0) {
        return r;
    }
    if (line.kind == KV_LINE_LOST) {
        flush_step(source);
        lose(source);
        return 0;
    }
    if (line.seq != source->step_seq || source->n_blocks >= STEP_BLOCKS_MAX) {
        flush_step(source);
        source->step_seq = line.seq;
    }
    for (size_t i = 0; i < line.n_messages && r == 0; i++) {
        r = add_message(source, &line.messages[i]);
    }
    return r;
}

// The lines that are held, until a snapshot has to come first.
static void take_events(struct kv_source *source)
{
    struct str line;
    size_t at = 0;
    int r = source->events.held.error;
    while (r == 0 && !source->is_wanted && next_line(&source->events, &at, &line)) {
        r = take_event(source, line);
    }
    forget_lines(source);
    drop_lines(&source->events, at);
    if (r < 0) {
        close_all(source, source->events.path, r);
    } else if (source->is_wanted) {
        begin_snapshot(source);
    }
}

static void go_on(struct kv_source *source)
{
    take_events(source);
    if (source->events.exchange && source->is_paused && !source->is_wanted) {
        source->is_paused = false;
        exchange_go_on(source->events.exchange);
    }
}

static void events_data(void *ctx, struct str bytes)
{
    struct kv_source *source = ctx;
    strbuf_append(&source->events.held, bytes);
    source->is_paused = true;
    if (!source->snapshot.exchange) {
        go_on(source);
    }
}

// From here on nothing is missed: what was before, the snapshot has.
static void events_opened(void *ctx)
{
    struct kv_source *source = ctx;
    source->counts.is_open = true;
    source->is_told = false;
    lose(source);
}

static void events_ended(void *ctx, const struct exchange_ends *ends)
{
    struct kv_source *source = ctx;
    source->events.exchange = NULL;
    source->is_paused = false;
    close_all(source, source->events.path, ends->open < 0 ? ends->open : ends->read);
}

// ---- kv/snapshot ---------------------------------------------------------------------------------------------------

static bool is_wanted_whole(const struct kv_source *source)
{
    for (unsigned i = 0; i < source->n_sinks; i++) {
        if (!source->sinks[i].part) {
            return true;
        }
    }
    return false;
}

static int take_head(struct kv_source *source, const struct kv_line *line)
{
    source->block_size = line->block_size;
    source->is_snapshot_begun = true;
    source->making = is_wanted_whole(source) ? kv_snapshot_new(line->block_size) : NULL;
    return source->making || !is_wanted_whole(source) ? 0 : -ENOMEM;
}

static int take_part(struct kv_source *source, struct kv_line *line)
{
    struct kv_batch batch = {
        .time_s = kv_source_time_s(), .rank = -1, .n_messages = line->n_messages, .messages = line->messages
    };
    int r = 0;
    for (size_t i = 0; i < line->n_messages && r == 0; i++) {
        line->messages[i].medium = medium_of(&line->messages[i]);
        r = source->making ? kv_snapshot_add(source->making, &line->messages[i]) : 0;
        source->n_told += line->messages[i].n_blocks;
    }
    for (unsigned i = 0; i < source->n_sinks && r == 0; i++) {
        if (source->sinks[i].part) {
            source->sinks[i].part(source->sinks[i].ctx, &batch);
        }
    }
    return r;
}

static int take_snapshot_line(struct kv_source *source, struct str text)
{
    struct kv_line line;
    int r = decode(source, &source->snapshot, text, &line);
    if (r < 0) {
        return r;
    }
    if (line.kind == KV_LINE_SNAPSHOT && !source->is_snapshot_begun) {
        return take_head(source, &line);
    }
    if (!source->is_snapshot_begun || source->is_snapshot_over) {
        return -EPROTO;
    }
    if (line.kind == KV_LINE_STORED) {
        r = take_part(source, &line);
    } else if (line.kind == KV_LINE_END) {
        source->is_snapshot_over = true;
        r = line.n_blocks == source->n_told ? 0 : -EPROTO;
    }
    return r;
}

static void forget_snapshot(struct kv_source *source)
{
    kv_snapshot_unref(source->making);
    source->making = NULL;
    source->n_told = 0;
    source->is_snapshot_begun = source->is_snapshot_over = false;
    strbuf_reset(&source->snapshot.held);
}

static void snapshot_data(void *ctx, struct str bytes)
{
    struct kv_source *source = ctx;
    struct str line;
    size_t at = 0;
    strbuf_append(&source->snapshot.held, bytes);
    int r = source->snapshot.held.error;
    while (r == 0 && next_line(&source->snapshot, &at, &line)) {
        r = take_snapshot_line(source, line);
        arena_reset(&source->scratch);
    }
    drop_lines(&source->snapshot, at);
    if (r < 0) {
        close_all(source, source->snapshot.path, r);
    } else {
        exchange_go_on(source->snapshot.exchange);
    }
}

static void pass_on(struct kv_source *source)
{
    struct kv_snapshot *snapshot = source->making ? kv_snapshot_ref(source->making) : NULL;
    source->is_wanted = false;
    source->counts.n_snapshots++;
    forget_snapshot(source);
    for (unsigned i = 0; i < source->n_sinks; i++) {
        source->sinks[i].snapshot(source->sinks[i].ctx, source->sinks[i].part ? NULL : snapshot);
    }
    kv_snapshot_unref(snapshot);
    go_on(source);
}

static void snapshot_ended(void *ctx, const struct exchange_ends *ends)
{
    struct kv_source *source = ctx;
    int r = ends->open < 0 ? ends->open : ends->read;
    source->snapshot.exchange = NULL;
    r = r == 0 && !source->is_snapshot_over ? -EPROTO : r;
    r = r < 0 || !source->making ? r : kv_snapshot_finish(source->making);
    if (r < 0) {
        close_all(source, source->snapshot.path, r);
    } else {
        pass_on(source);
    }
}

// It is opened when it is whole.
static void snapshot_opened(void *ctx)
{
    (void)ctx;
}

static void begin_snapshot(struct kv_source *source)
{
    struct exchange_sink sink = {
        .opened = snapshot_opened, .data = snapshot_data, .ended = snapshot_ended, .ctx = source
    };
    if (source->snapshot.exchange) {
        return;
    }
    forget_snapshot(source);
    source->snapshot.exchange = exchange_start(source->files, source->snapshot.path, NULL, 0, 0, &sink);
    if (!source->snapshot.exchange) {
        close_all(source, source->snapshot.path, -ENOMEM);
    }
}

void kv_source_want_snapshot(struct kv_source *source)
{
    source->is_wanted = true;
    if (source->counts.is_open) {
        begin_snapshot(source);
    }
}

// ---- life ----------------------------------------------------------------------------------------------------------

static void close_file(struct line_file *file)
{
    if (file->exchange) {
        exchange_cancel(file->exchange);
        file->exchange = NULL;
    }
    strbuf_reset(&file->held);
}

// It begins anew in a while: with a loss, since what happens until then is not heard.
static void close_all(struct kv_source *source, const char *path, int error)
{
    if (!source->is_told && !source->is_stopped) {
        log_warn("%s: %s; tried again every 2 s", path, error < 0 ? strerror(-error) : "the mount has gone");
        source->is_told = true;
    }
    source->counts.is_open = false;
    source->is_wanted = source->is_paused = false;
    close_file(&source->events);
    close_file(&source->snapshot);
    forget_snapshot(source);
    if (!source->is_stopped && !source->retry.is_pending) {
        loop_timer(source->loop, &source->retry, RETRY_NS);
    }
}

static void retry_done(struct loop_op *op, int res)
{
    struct kv_source *source = (struct kv_source *)op;
    struct exchange_sink sink = { .opened = events_opened, .data = events_data, .ended = events_ended, .ctx = source };
    if (res < 0 || source->is_stopped) {
        return;
    }
    source->events.exchange = exchange_start(source->files, source->events.path, NULL, 0, 0, &sink);
    if (!source->events.exchange) {
        close_all(source, source->events.path, -ENOMEM);
    }
}

static void init_file(struct line_file *file, const char *mount, const char *name)
{
    strbuf_init(&file->held, LINE_BYTES_MAX);
    snprintf(file->path, sizeof(file->path), "%s/%s", mount, name);
}

int kv_source_new(struct loop *loop, struct exchange_pool *files, const char *mount, const struct kv_sink *sinks,
                  unsigned n_sinks, struct kv_source **ret)
{
    static_assert(offsetof(struct kv_source, retry) == 0, "retry_done");
    assert(n_sinks <= KV_SINKS_MAX);
    struct kv_source *source = calloc(1, sizeof(*source));
    if (!source) {
        return -ENOMEM;
    }
    source->loop = loop;
    source->files = files;
    source->retry.done = retry_done;
    source->n_sinks = n_sinks;
    memcpy(source->sinks, sinks, n_sinks * sizeof(*sinks));
    init_file(&source->events, mount, "kv/events");
    init_file(&source->snapshot, mount, "kv/snapshot");
    arena_init(&source->scratch, SCRATCH_MAX);
    loop_timer(loop, &source->retry, 0);
    *ret = source;
    return 0;
}

void kv_source_stop(struct kv_source *source)
{
    if (!source || source->is_stopped) {
        return;
    }
    source->is_stopped = true;
    loop_cancel(source->loop, &source->retry);
    close_all(source, source->events.path, 0);
}

void kv_source_free(struct kv_source *source)
{
    if (!source) {
        return;
    }
    strbuf_deinit(&source->events.held);
    strbuf_deinit(&source->snapshot.held);
    arena_deinit(&source->scratch);
    free(source);
}

uint32_t kv_source_block_size(const struct kv_source *source)
{
    return source->block_size;
}

const struct kv_source_counts *kv_source_counts(const struct kv_source *source)
{
    return &source->counts;
}
