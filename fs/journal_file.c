#include "fs/journal_file.h"
#include "fs/list.h"
#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <unistd.h>

static void on_written(struct loop_op *op, int res);

void journal_file_init(struct journal_file *file, struct loop *loop)
{
    *file = (struct journal_file){ .loop = loop, .fd = -1, .op = { .done = on_written } };
    strbuf_init(&file->gather, 0);
    strbuf_init(&file->flight, 0);
}

void journal_file_deinit(struct journal_file *file)
{
    assert(!file->op.is_pending);
    if (file->fd >= 0) {
        close(file->fd);
    }
    strbuf_deinit(&file->gather);
    strbuf_deinit(&file->flight);
    file->fd = -1;
}

static void append(struct journal_file *file, enum record_type type, struct str body)
{
    const struct record record = { .type = type, .epoch = file->epoch, .seq = file->seq, .body = body };
    if (record_append(&file->gather, &record) == 0) {
        file->seq++;
    }
}

void journal_file_mark(struct journal_file *file)
{
    uint64_t synced = htole64(file->synced);
    if (file->synced <= file->marked || file->data_end <= file->marked) {
        return;
    }
    append(file, RECORD_MARK, (struct str){ (const char *)&synced, sizeof(synced) });
    file->marked = file->synced;
}

void journal_file_append(struct journal_file *file, enum record_type type, struct str body)
{
    if (file->gather.len == 0) {
        journal_file_mark(file);
    }
    append(file, type, body);
    file->data_end = file->end + file->flight.len + file->gather.len;
}

static void write_rest(struct journal_file *file)
{
    struct str rest = str_skip(strbuf_str(&file->flight), file->n_written);
    loop_write(file->loop, &file->op, file->fd, rest.ptr, rest.len, file->end + file->n_written);
}

static void on_written(struct loop_op *op, int res)
{
    struct journal_file *file = list_entry(op, struct journal_file, op);
    file->n_written += res > 0 ? (size_t)res : 0;
    bool is_tried_again = res == -EINTR || res == -EAGAIN;
    if ((res > 0 || is_tried_again) && file->n_written < file->flight.len) {
        write_rest(file);
        return;
    }
    if (res > 0) {
        file->end += file->flight.len;
    }
    strbuf_clear(&file->flight, JOURNAL_KEEP_BYTES);
    file->done(file, res > 0 ? 0 : res < 0 ? res : -EIO); // 0 bytes: no way to go on
}

void journal_file_write(struct journal_file *file)
{
    assert(!file->op.is_pending && file->flight.len == 0 && file->gather.len > 0);
    struct strbuf empty = file->flight;
    file->flight = file->gather;
    file->gather = empty;
    file->n_written = 0;
    write_rest(file);
}
