// The engine's records become lines here: records of one step and kind share a line. A snapshot's blocks come among the
// events and are put aside. All who open kv/snapshot before one has begun get the same; who comes later gets the next,
// since what happened between its beginning and their opening of kv/events they would never hear.
#include "fs/kv_feed.h"
#include "fs/mount.h"
#include "fs/node.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define LINES_BYTES_MAX  (4u << 20)
#define LINE_BLOCKS_MAX  64 // a reader is shown whole lines only
#define RECORDS_PER_TURN 4096
#define SALT_OF_NONE     UINT64_C(0x2d06800538d394c2) // XXH3 of nothing

struct kv_snapshot {
    unsigned n_users; // open files, and the feed while it is made
    struct strbuf text;
    uint64_t seq, epoch;
    uint64_t n_blocks;
    unsigned n_in_line;
    bool is_on_host; // the line in hand
    bool is_done;
};

struct reader {
    uint64_t at; // stream offset
    struct strbuf lost;
};

// ---- lines ---------------------------------------------------------------------------------------------------------

struct line_head {
    uint64_t seq, epoch;
    const char *type;
    bool has_tier, is_on_host, has_block_size;
};

static void write_head(struct strbuf *out, const struct kv_feed *feed, const struct line_head *head)
{
    const struct tokfs_engine_info *info = &feed->mount->info;
    strbuf_printf(out, "{\"seq\":%" PRIu64 ",\"epoch\":%" PRIu64 ",\"type\":\"%s\"", head->seq, head->epoch,
                  head->type);
    if (head->has_tier) {
        strbuf_printf(out, ",\"tier\":\"%s\"", head->is_on_host ? "host" : info->kv_tier);
    }
    if (head->has_block_size) {
        strbuf_printf(out, ",\"block_size\":%zu", info->page_tokens);
    }
}

static void write_block(struct strbuf *out, const struct tokfs_kv_event *event)
{
    strbuf_printf(out, "{\"hash\":\"%016" PRIx64 "\",\"parent\":", event->hash);
    if (!event->is_first) {
        strbuf_printf(out, "\"%016" PRIx64 "\"", event->parent);
    } else if (event->parent == SALT_OF_NONE) {
        strbuf_append(out, STR("null"));
    } else {
        strbuf_printf(out, "null,\"salt\":\"%016" PRIx64 "\"", event->parent);
    }
    strbuf_append(out, STR(",\"tokens\":["));
    for (size_t i = 0; i < event->n_tokens; i++) {
        strbuf_printf(out, i == 0 ? "%" PRId32 : ",%" PRId32, event->tokens[i]);
    }
    strbuf_append(out, STR("]}"));
}

// One growing line of blocks: what kv/events and kv/snapshot have in common.
static void add_block(struct strbuf *out, const struct kv_feed *feed, const struct tokfs_kv_event *event, bool is_begun)
{
    if (!is_begun) {
        bool is_stored = event->kind != TOKFS_KV_REMOVED;
        write_head(out, feed,
                   &(struct line_head){ .seq = event->seq,
                                        .epoch = event->epoch,
                                        .type = is_stored ? "stored" : "removed",
                                        .has_tier = true,
                                        .is_on_host = event->is_on_host,
                                        .has_block_size = is_stored });
        strbuf_append(out, STR(",\"blocks\":["));
    } else {
        strbuf_append_byte(out, ',');
    }
    if (event->kind == TOKFS_KV_REMOVED) {
        strbuf_printf(out, "\"%016" PRIx64 "\"", event->hash);
    } else {
        write_block(out, event);
    }
}

// ---- events --------------------------------------------------------------------------------------------------------

static void end_line(struct kv_feed *feed)
{
    if (feed->lines.len > feed->n_whole) {
        strbuf_append(&feed->lines, STR("]}\n"));
        feed->n_whole = feed->lines.len;
    }
}

// The older half goes, by whole lines. A reader that was there hears of it when it reads.
static void forget_old(struct kv_feed *feed)
{
    if (feed->lines.len < LINES_BYTES_MAX) {
        return;
    }
    size_t n = LINES_BYTES_MAX / 2;
    const char *end = memchr(feed->lines.ptr + n, '\n', feed->n_whole - n);
    n = end ? (size_t)(end - feed->lines.ptr) + 1 : feed->n_whole;
    memmove(feed->lines.ptr, feed->lines.ptr + n, feed->lines.len - n);
    feed->lines.len -= n;
    feed->n_whole -= n;
    feed->begin += n;
}

static void write_lost(struct strbuf *out, const struct kv_feed *feed)
{
    write_head(out, feed, &(struct line_head){ .seq = feed->seq, .epoch = feed->epoch, .type = "lost" });
    strbuf_append(out, STR("}\n"));
}

static void tell_lost(struct kv_feed *feed)
{
    end_line(feed);
    write_lost(&feed->lines, feed);
    feed->n_whole = feed->lines.len;
}

static void take_change(struct kv_feed *feed, const struct tokfs_kv_event *event, unsigned *n_in_line)
{
    bool is_begun = feed->lines.len > feed->n_whole;
    if (is_begun && (feed->kind != event->kind || feed->is_on_host != event->is_on_host || feed->seq != event->seq ||
                     *n_in_line == LINE_BLOCKS_MAX)) {
        end_line(feed);
        forget_old(feed);
        is_begun = false;
    }
    *n_in_line = is_begun ? *n_in_line + 1 : 1;
    add_block(&feed->lines, feed, event, is_begun);
    feed->kind = event->kind;
    feed->is_on_host = event->is_on_host;
}

// ---- snapshots -----------------------------------------------------------------------------------------------------

static void snapshot_unref(struct kv_snapshot *snapshot)
{
    if (snapshot && --snapshot->n_users == 0) {
        strbuf_deinit(&snapshot->text);
        free(snapshot);
    }
}

static void take_snapshot_part(struct kv_feed *feed, const struct tokfs_kv_event *event)
{
    struct kv_snapshot *s = feed->making;
    if (!s) {
        return;
    }
    if (event->kind == TOKFS_KV_SNAPSHOT_BEGIN) {
        strbuf_reset(&s->text);
        s->seq = event->seq;
        s->epoch = event->epoch;
        s->n_blocks = s->n_in_line = 0;
        write_head(
            &s->text, feed,
            &(struct line_head){
                .seq = s->seq, .epoch = s->epoch, .type = "snapshot", .has_tier = true, .has_block_size = true });
        strbuf_append(&s->text, STR("}\n"));
    } else if (event->kind == TOKFS_KV_SNAPSHOT_BLOCK && s->text.len > 0) {
        struct tokfs_kv_event block = *event;
        block.seq = s->seq; // it is what the snapshot's number says
        bool goes_on = s->n_in_line > 0 && s->n_in_line < LINE_BLOCKS_MAX && s->is_on_host == event->is_on_host;
        if (!goes_on && s->n_blocks > 0) {
            strbuf_append(&s->text, STR("]}\n"));
        }
        add_block(&s->text, feed, &block, goes_on);
        s->n_in_line = goes_on ? s->n_in_line + 1 : 1;
        s->is_on_host = event->is_on_host;
        s->n_blocks++;
    } else if (event->kind == TOKFS_KV_SNAPSHOT_END && s->text.len > 0) {
        strbuf_append(&s->text, s->n_blocks > 0 ? STR("]}\n") : STR(""));
        strbuf_printf(&s->text, "{\"seq\":%" PRIu64 ",\"epoch\":%" PRIu64 ",\"type\":\"end\",\"blocks\":%" PRIu64 "}\n",
                      s->seq, s->epoch, s->n_blocks);
        s->is_done = true;
        snapshot_unref(s);
        feed->making = feed->next;
        feed->next = NULL;
        if (feed->making) {
            tokfs_kv_snapshot(feed->mount->engine);
        }
    }
}

static void take_loss(struct kv_feed *feed)
{
    tell_lost(feed);
    if (feed->making) { // it ended with what was lost
        strbuf_reset(&feed->making->text);
        tokfs_kv_snapshot(feed->mount->engine);
    }
}

// ---- the feed ------------------------------------------------------------------------------------------------------

void kv_feed_init(struct kv_feed *feed, struct mount *mount)
{
    *feed = (struct kv_feed){ .mount = mount };
    channel_init(&feed->channel, mount);
    strbuf_init(&feed->lines, 0);
}

void kv_feed_deinit(struct kv_feed *feed)
{
    snapshot_unref(feed->making);
    snapshot_unref(feed->next);
    channel_deinit(&feed->channel);
    strbuf_deinit(&feed->lines);
}

bool kv_feed_take(struct kv_feed *feed)
{
    struct tokfs_kv_event event;
    unsigned n = 0, n_in_line = 0;
    if (!feed->is_open) {
        return false;
    }
    for (; n < RECORDS_PER_TURN && tokfs_kv_poll(feed->mount->engine, &event); n++) {
        if (event.kind == TOKFS_KV_STORED || event.kind == TOKFS_KV_REMOVED) {
            take_change(feed, &event, &n_in_line);
        }
        feed->seq = event.seq;
        feed->epoch = event.epoch;
        if (event.kind == TOKFS_KV_EPOCH) {
            take_loss(feed);
        } else if (event.kind >= TOKFS_KV_SNAPSHOT_BEGIN) {
            take_snapshot_part(feed, &event);
        }
    }
    if (n > 0) {
        end_line(feed);
        forget_old(feed);
        channel_mark(&feed->channel);
    }
    return n == RECORDS_PER_TURN;
}

static int open_feed(struct kv_feed *feed)
{
    int r = feed->is_open ? 0 : tokfs_kv_open(feed->mount->engine);
    feed->is_open |= r == 0;
    return r;
}

// ---- kv/events -----------------------------------------------------------------------------------------------------

int kv_events_open(struct file *file)
{
    struct kv_feed *feed = &file->mount->kv;
    int r = open_feed(feed);
    struct reader *reader = r == 0 ? calloc(1, sizeof(*reader)) : NULL;
    if (!reader) {
        return r < 0 ? r : -ENOMEM;
    }
    reader->at = feed->begin + feed->n_whole;
    strbuf_init(&reader->lost, 0);
    file->state = reader;
    file->channel = &feed->channel;
    return 0;
}

void kv_events_close(struct file *file)
{
    struct reader *reader = file->state;
    if (reader) {
        strbuf_deinit(&reader->lost);
        free(reader);
    }
}

int kv_events_read(struct file *file, size_t size, uint64_t offset, struct str *ret_bytes)
{
    struct kv_feed *feed = &file->mount->kv;
    struct reader *reader = file->state;
    (void)offset; // a stream
    if (reader->at < feed->begin) {
        reader->at = feed->begin + feed->n_whole;
        strbuf_reset(&reader->lost);
        write_lost(&reader->lost, feed);
        return file_slice(strbuf_str(&reader->lost), size, 0, ret_bytes);
    }
    struct str whole = str_take(strbuf_str(&feed->lines), feed->n_whole);
    int n = file_slice(whole, size, reader->at - feed->begin, ret_bytes);
    reader->at += (uint64_t)n;
    return n > 0 || feed->mount->phase >= MOUNT_DETACHED ? n : FILE_WAIT;
}

bool kv_events_is_readable(struct file *file)
{
    const struct kv_feed *feed = &file->mount->kv;
    const struct reader *reader = file->state;
    return reader->at != feed->begin + feed->n_whole || feed->mount->phase >= MOUNT_DETACHED;
}

// ---- kv/snapshot ---------------------------------------------------------------------------------------------------

static struct kv_snapshot *snapshot_new(void)
{
    struct kv_snapshot *snapshot = calloc(1, sizeof(*snapshot));
    if (snapshot) {
        snapshot->n_users = 1;
        strbuf_init(&snapshot->text, 0);
    }
    return snapshot;
}

static struct kv_snapshot *join_snapshot(struct kv_feed *feed)
{
    struct kv_snapshot **place = feed->making && feed->making->text.len > 0 ? &feed->next : &feed->making;
    if (!*place) {
        *place = snapshot_new();
        if (*place && place == &feed->making) {
            tokfs_kv_snapshot(feed->mount->engine);
        }
    }
    if (*place) {
        (*place)->n_users++;
    }
    return *place;
}

// Called again when its request was parked.
int kv_snapshot_open(struct file *file)
{
    struct kv_feed *feed = &file->mount->kv;
    struct kv_snapshot *snapshot = file->state;
    int r = open_feed(feed);
    if (r < 0) {
        return r;
    }
    if (!snapshot) {
        snapshot = file->state = join_snapshot(feed);
        file->channel = &feed->channel;
    }
    if (!snapshot) {
        return -ENOMEM;
    }
    if (snapshot->is_done) {
        return snapshot->text.error;
    }
    return feed->mount->phase >= MOUNT_DETACHED ? -ESHUTDOWN : FILE_WAIT;
}

void kv_snapshot_close(struct file *file)
{
    snapshot_unref(file->state);
}

int kv_snapshot_read(struct file *file, size_t size, uint64_t offset, struct str *ret_bytes)
{
    const struct kv_snapshot *snapshot = file->state;
    return file_slice(strbuf_str(&snapshot->text), size, offset, ret_bytes);
}
