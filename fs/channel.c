// Channels: parked requests and poll handles.
//
// A parked request is in exactly one channel's list from channel_park until it is answered; it is answered exactly
// once, by parked_answer, which every way out takes: flush (the file has an answer), interrupt, abort. All are on the
// loop thread.
#include "fs/channel.h"
#include "fs/file.h"
#include "fs/mount.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

struct parked {
    struct list link;
    struct channel *channel;
    fuse_req_t req;
    struct file *file;
    enum parked_kind kind;
    size_t size;
    uint64_t offset;
};

void channel_init(struct channel *channel, struct mount *mount)
{
    channel->mount = mount;
    list_init(&channel->parked);
    list_init(&channel->watchers);
    list_init(&channel->dirty_link);
}

void channel_deinit(struct channel *channel)
{
    assert(list_is_empty(&channel->parked));
    assert(list_is_empty(&channel->watchers));
    list_remove(&channel->dirty_link);
}

void channel_mark(struct channel *channel)
{
    if (list_is_empty(&channel->dirty_link)) {
        list_append(&channel->mount->dirty_channels, &channel->dirty_link);
    }
}

static void parked_answer(struct parked *parked, int result, struct str bytes)
{
    struct mount *mount = parked->channel->mount;
    list_remove(&parked->link);
    user_uncharge(parked->file->user, USER_PARKED);
    parked->file->node->n_writes -= parked->kind == PARKED_WRITE;
    file_set_reader_away(parked->file, parked->kind == PARKED_READ && result > 0);
    file_answer(parked->req, parked->file, parked->kind, result, bytes);
    mount->counts.n_parked--;
    free(parked);
}

// libfuse holds the request's lock here, and lets it go after the answer; so its callback cannot be taken back here,
// and need not: it has run.
static void on_interrupt(fuse_req_t req, void *data)
{
    struct parked *parked = data;
    (void)req;
    file_interrupted(parked->file, parked->kind);
    parked_answer(parked, -EINTR, (struct str){ 0 });
}

void channel_park(struct channel *channel, fuse_req_t req, struct file *file, enum parked_kind kind, size_t size,
                  uint64_t offset)
{
    struct mount *mount = channel->mount;
    bool is_over = mount->counts.n_parked >= mount->limits.n_parked || user_is_at_limit(file->user, USER_PARKED);
    struct parked *parked = is_over ? NULL : malloc(sizeof(*parked));
    if (!parked || fuse_req_interrupted(req)) {
        int result = parked ? -EINTR : -EAGAIN;
        free(parked);
        file_interrupted(file, kind);
        file_answer(req, file, kind, result, (struct str){ 0 });
        return;
    }
    *parked =
        (struct parked){ .channel = channel, .req = req, .file = file, .kind = kind, .size = size, .offset = offset };
    list_append(&channel->parked, &parked->link);
    mount->counts.n_parked++;
    file->node->n_writes += kind == PARKED_WRITE;
    user_charge(file->user, USER_PARKED, NULL);
    // Interrupts come through the loop thread, hence never between the check above and this.
    fuse_req_interrupt_func(req, on_interrupt, parked);
}

void channel_watch(struct channel *channel, struct file *file, struct fuse_pollhandle *handle)
{
    channel_unwatch(file);
    file->poll = handle;
    list_append(&channel->watchers, &file->watch_link);
}

void channel_unwatch(struct file *file)
{
    if (file->poll) {
        fuse_pollhandle_destroy(file->poll);
        file->poll = NULL;
    }
    list_remove(&file->watch_link);
}

void channel_flush(struct channel *channel)
{
    list_remove(&channel->dirty_link);
    list_for_each(link, next, &channel->parked)
    {
        struct parked *parked = list_entry(link, struct parked, link);
        struct str bytes = { 0 };
        int result = file_resume(parked->file, parked->kind, parked->size, parked->offset, &bytes);
        if (result != FILE_WAIT) {
            fuse_req_interrupt_func(parked->req, NULL, NULL);
            parked_answer(parked, result, bytes);
        }
    }
    list_for_each(link, next, &channel->watchers)
    {
        struct file *file = list_entry(link, struct file, watch_link);
        if (file_is_readable(file)) {
            fuse_lowlevel_notify_poll(file->poll);
            channel_unwatch(file);
        }
    }
}

void channel_abort(struct channel *channel, int code)
{
    list_for_each(link, next, &channel->parked)
    {
        struct parked *parked = list_entry(link, struct parked, link);
        fuse_req_interrupt_func(parked->req, NULL, NULL);
        file_interrupted(parked->file, parked->kind);
        parked_answer(parked, code, (struct str){ 0 });
    }
}
