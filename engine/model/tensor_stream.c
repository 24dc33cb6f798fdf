// A ring of buffers between io_uring and a sink.
//
//            issue: next chunk of the plan             consume: in file order
//   files  ------------------------------>  slots[]  -------------------------->  sink(rows)
//            up to N_SLOTS reads in flight             a row cut by a chunk border waits in `carry`
//
// Invariants
// 1. Chunks are planned, and consumed, in the order of (file, offset); reads between them may end in any order.
// 2. A slot is, in turn: free, reading, ready, and where the backend copies from it by itself, lent; slots
//    [head, head + n_busy) of the ring are reading or ready, the N_LENT before head may be lent.
// 3. A chunk begins and ends at multiples of BLOCK, as O_DIRECT asks. `n_wanted` of its bytes must arrive; what follows
// up to the
//    block's end (or the file's) may.
// 4. After a failure nothing is issued and the sink is not called again; reads in flight are cancelled and awaited.
//
// O_DIRECT because weights are read once: copying them through the page cache costs time, and memory that other things
// on the machine use. A file that is in the page cache already (it has just been written or copied) is read from there,
// and a file system that refuses direct reads gets buffered ones. One thread, its own loop; the caller waits.
#include "engine/model/tensor_stream.h"
#include "engine/base/loop.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK       4096u        // alignment of direct reads: memory, offset and length
#define CHUNK_BYTES (4u << 20)   // one read
#define N_SLOTS     8u           // reads in flight, and buffers that a device copies from
#define N_LENT      3u           // of them, these, where there is such a device
#define GAP_MAX     (256u << 10) // unwanted bytes between two tensors that are read rather than skipped

struct stream;

struct slot {
    struct loop_op op;
    struct stream *stream;
    unsigned char *buf; // [CHUNK_BYTES], aligned to BLOCK
    uint32_t file_idx;
    uint64_t offset; // of buf[0] in the file
    size_t n_bytes;  // to read
    size_t n_wanted; // of them, must arrive
    size_t from;     // where in buf the read in flight begins
    size_t filled;   // bytes of buf that have arrived
    bool is_ready;
    bool is_buffered; // the file refused a direct read of this slot
};

struct stream {
    struct loop *loop;
    const struct tensor_file *files;
    const struct tensor_info *tensors;
    size_t n_tensors;
    const struct tensor_read *read;
    struct err *err;
    int rc;                 // first failure
    struct backend *device; // that copies from the slots by itself; NULL: none

    size_t plan_idx;      // next wanted tensor that the plan has not finished
    uint64_t plan_offset; // in its file: bytes before it are planned
    struct slot slots[N_SLOTS];
    unsigned char *bufs; // [N_SLOTS][CHUNK_BYTES]
    unsigned head, n_busy;

    size_t idx;           // tensor that is being handed out
    uint64_t n_given;     // bytes of it that have been seen
    unsigned char *carry; // [longest row]
    size_t carry_len;     // bytes of a row that its chunk did not end
    uint64_t bytes_done, bytes_total;
};

static uint64_t row_bytes(const struct tensor_info *t)
{
    uint64_t n_rows = tensor_n_rows(t);
    return n_rows ? t->bytes / n_rows : 0;
}

static size_t next_used(const struct stream *s, size_t idx)
{
    while (idx < s->n_tensors && !(s->tensors[idx].is_used && s->tensors[idx].bytes > 0)) {
        idx++;
    }
    return idx;
}

static void fail(struct stream *s, int rc)
{
    if (s->rc) {
        return;
    }
    s->rc = rc;
    for (unsigned i = 0; i < N_SLOTS; i++) {
        loop_cancel(s->loop, &s->slots[i].op);
    }
}

// ---- consume -------------------------------------------------------------------------------------------------------

static void give(struct stream *s, uint64_t n_rows, const void *data)
{
    const struct tensor_info *t = &s->tensors[s->idx];
    uint64_t per_row = row_bytes(t);
    struct tensor_run run = { t, s->n_given / per_row, n_rows, data };
    int rc = s->read->sink(s->read->ctx, &run, s->err);
    if (rc) {
        fail(s, rc);
    }
    s->n_given += n_rows * per_row;
}

// Of all that was handed out: the mark of the slot in hand is set anew when it is consumed.
static void await_copies(struct stream *s)
{
    if (s->device) {
        s->device->ops->mark(s->device, s->head);
        s->device->ops->wait(s->device, s->head);
    }
}

// Rows that begin at an odd address (headers need not be padded) are moved down to their alignment, over bytes that
// have been handed out already. `data` lies in a slot, whose first byte is aligned, so that there is room before it.
static unsigned char *align_rows(struct stream *s, unsigned char *data, size_t len, size_t align)
{
    size_t odd = (uintptr_t)data % align;
    if (odd) {
        await_copies(s);
        memmove(data - odd, data, len);
    }
    return data - odd;
}

// Hands out bytes that continue the current tensor; data[0 .. len) lies in a slot and within the tensor.
static void consume_bytes(struct stream *s, unsigned char *data, size_t len)
{
    const struct tensor_info *t = &s->tensors[s->idx];
    size_t per_row = row_bytes(t);
    if (s->carry_len > 0) {
        size_t n = per_row - s->carry_len < len ? per_row - s->carry_len : len;
        memcpy(s->carry + s->carry_len, data, n);
        s->carry_len += n;
        data += n;
        len -= n;
        if (s->carry_len < per_row) {
            return;
        }
        s->carry_len = 0;
        give(s, 1, s->carry);
    }
    size_t n_rows = len / per_row;
    if (n_rows > 0 && !s->rc) {
        give(s, n_rows, align_rows(s, data, n_rows * per_row, dtype_align(t->dtype)));
    }
    s->carry_len = len - n_rows * per_row;
    memcpy(s->carry, data + n_rows * per_row, s->carry_len);
}

static void consume_slot(struct stream *s, struct slot *slot)
{
    uint64_t end = slot->offset + slot->n_wanted;
    while (!s->rc && s->idx < s->n_tensors) {
        const struct tensor_info *t = &s->tensors[s->idx];
        uint64_t at = t->offset + s->n_given + s->carry_len;
        if (t->file_idx != slot->file_idx || at >= end) {
            break;
        }
        assert(at >= slot->offset);
        uint64_t stop = t->offset + t->bytes < end ? t->offset + t->bytes : end;
        consume_bytes(s, slot->buf + (at - slot->offset), stop - at);
        s->bytes_done += stop - at;
        if (stop < t->offset + t->bytes) {
            break;
        }
        assert(s->rc || s->carry_len == 0);
        s->idx = next_used(s, s->idx + 1);
        s->n_given = 0;
    }
    if (s->read->progress && !s->rc) {
        s->read->progress(s->read->ctx, s->bytes_done, s->bytes_total);
    }
}

// ---- issue ---------------------------------------------------------------------------------------------------------

// Where the wanted bytes that begin at the plan's position end, small gaps included.
static uint64_t stretch_end(const struct stream *s)
{
    const struct tensor_info *t = &s->tensors[s->plan_idx];
    uint64_t end = t->offset + t->bytes;
    for (size_t i = next_used(s, s->plan_idx + 1); i < s->n_tensors; i = next_used(s, i + 1)) {
        const struct tensor_info *next = &s->tensors[i];
        if (next->file_idx != t->file_idx || next->offset - end > GAP_MAX ||
            end - s->plan_offset > CHUNK_BYTES + BLOCK) {
            break;
        }
        end = next->offset + next->bytes;
    }
    return end;
}

static void advance_plan(struct stream *s, uint64_t offset)
{
    s->plan_offset = offset;
    uint32_t file_idx = s->tensors[s->plan_idx].file_idx;
    while (s->plan_idx < s->n_tensors) {
        const struct tensor_info *t = &s->tensors[s->plan_idx];
        if (t->file_idx == file_idx && t->offset + t->bytes > offset) {
            s->plan_offset = t->offset > offset ? t->offset : offset;
            return;
        }
        s->plan_idx = next_used(s, s->plan_idx + 1);
        if (s->plan_idx < s->n_tensors && s->tensors[s->plan_idx].file_idx != file_idx) {
            s->plan_offset = s->tensors[s->plan_idx].offset;
            return;
        }
    }
}

static void read_done(struct loop_op *op, int res);

static void submit(struct stream *s, struct slot *slot)
{
    slot->from = slot->filled / BLOCK * BLOCK;
    slot->op.done = read_done;
    loop_read(s->loop, &slot->op, s->files[slot->file_idx].fd, slot->buf + slot->from, slot->n_bytes - slot->from,
              slot->offset + slot->from);
}

static void issue(struct stream *s)
{
    unsigned n_most = s->device ? N_SLOTS - N_LENT : N_SLOTS;
    while (!s->rc && s->n_busy < n_most && s->plan_idx < s->n_tensors) {
        unsigned i = (s->head + s->n_busy) % N_SLOTS;
        struct slot *slot = &s->slots[i];
        if (s->device) {
            s->device->ops->wait(s->device, i); // nearly always over: others were consumed since
        }
        uint64_t end = stretch_end(s);
        slot->file_idx = s->tensors[s->plan_idx].file_idx;
        slot->offset = s->plan_offset / BLOCK * BLOCK;
        uint64_t wanted = end - slot->offset;
        slot->n_wanted = wanted < CHUNK_BYTES ? wanted : CHUNK_BYTES;
        slot->n_bytes = (slot->n_wanted + BLOCK - 1) / BLOCK * BLOCK;
        slot->filled = 0;
        slot->is_ready = slot->is_buffered = false;
        s->n_busy++;
        advance_plan(s, slot->offset + slot->n_wanted);
        submit(s, slot);
    }
}

// ---- completions ---------------------------------------------------------------------------------------------------

static int read_error(struct stream *s, const struct slot *slot, int res)
{
    const struct tensor_info *t = &s->tensors[s->idx];
    const char *file = s->files[slot->file_idx].name;
    if (res < 0) {
        return err_set(s->err, res, "%s: reading at byte %" PRIu64 ": %s (loading tensor \"%.*s\")", file,
                       slot->offset + slot->from, strerror(-res), STR_ARG(str_take(t->name, 80)));
    }
    struct stat sb = { 0 };
    fstat(s->files[slot->file_idx].fd, &sb); // this chunk may lie wholly behind the new end
    return err_set(s->err, -EIO,
                   "%s: the file ends at byte %jd of %" PRIu64 ": it has become shorter (loading tensor \"%.*s\")",
                   file, (intmax_t)sb.st_size, s->files[slot->file_idx].size, STR_ARG(str_take(t->name, 80)));
}

static void set_direct(int fd, bool on)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags >= 0) {
        fcntl(fd, F_SETFL, on ? flags | O_DIRECT : flags & ~O_DIRECT); // refused where there is none: buffered then
    }
}

static bool is_worth_retrying(struct stream *s, struct slot *slot, int res)
{
    if (res == -EINVAL && !slot->is_buffered) {
        slot->is_buffered = true;
        set_direct(s->files[slot->file_idx].fd, false);
        return true;
    }
    return res == -EINTR || res == -EAGAIN;
}

static void read_done(struct loop_op *op, int res)
{
    struct slot *slot = (struct slot *)op; // op is its first member
    struct stream *s = slot->stream;
    if (s->rc) {
        return;
    }
    if (res < 0) {
        if (is_worth_retrying(s, slot, res)) {
            submit(s, slot);
        } else {
            fail(s, read_error(s, slot, res));
        }
        return;
    }
    size_t filled = slot->from + (size_t)res;
    if (filled < slot->n_wanted) {
        if (filled <= slot->filled) {
            fail(s, read_error(s, slot, 0));
            return;
        }
        slot->filled = filled;
        submit(s, slot);
        return;
    }
    slot->filled = filled;
    slot->is_ready = true;
    while (!s->rc && s->n_busy > 0 && s->slots[s->head].is_ready) {
        consume_slot(s, &s->slots[s->head]);
        if (s->device) {
            s->device->ops->mark(s->device, s->head);
        }
        s->slots[s->head].is_ready = false;
        s->head = (s->head + 1) % N_SLOTS;
        s->n_busy--;
        issue(s);
    }
}

// ---- life ----------------------------------------------------------------------------------------------------------

static int alloc_buffers(struct stream *s)
{
    uint64_t longest = 0;
    for (size_t i = next_used(s, 0); i < s->n_tensors; i = next_used(s, i + 1)) {
        uint64_t n = row_bytes(&s->tensors[i]);
        longest = n > longest ? n : longest;
        s->bytes_total += s->tensors[i].bytes;
    }
    s->carry = malloc(longest > 0 ? longest : 1);
    s->bufs = mmap(NULL, (size_t)N_SLOTS * CHUNK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (!s->carry || s->bufs == MAP_FAILED) {
        return err_set(s->err, -ENOMEM, "no memory to read weights: %u buffers x %u bytes + a row of %" PRIu64 " bytes",
                       N_SLOTS, CHUNK_BYTES, longest);
    }
    struct backend *b = s->read->backend;
    if (b && b->ops->host_pin && b->ops->host_pin(b, s->bufs, (size_t)N_SLOTS * CHUNK_BYTES)) {
        s->device = b;
    }
    for (unsigned i = 0; i < N_SLOTS; i++) {
        s->slots[i].stream = s;
        s->slots[i].buf = s->bufs + (size_t)i * CHUNK_BYTES;
    }
    return 0;
}

// Is nearly all of the file in the page cache? The kernel tells owners only, and says yes to others.
static bool is_cached(const struct tensor_file *f)
{
    struct stat sb;
    size_t n_pages = (f->size + BLOCK - 1) / BLOCK, n_cached = 0;
    unsigned char *in_core = malloc(n_pages + 1);
    void *map = f->size > 0 ? mmap(NULL, f->size, PROT_READ, MAP_SHARED, f->fd, 0) : MAP_FAILED;
    bool is_told = fstat(f->fd, &sb) == 0 && (sb.st_uid == geteuid() || geteuid() == 0);
    if (is_told && in_core && map != MAP_FAILED && mincore(map, f->size, in_core) == 0) {
        for (size_t i = 0; i < n_pages; i++) {
            n_cached += in_core[i] & 1;
        }
    }
    if (map != MAP_FAILED) {
        munmap(map, f->size);
    }
    free(in_core);
    return n_cached > n_pages / 16 * 15;
}

static void set_all_direct(const struct stream *s, bool on)
{
    uint32_t last = UINT32_MAX;
    for (size_t i = next_used(s, 0); i < s->n_tensors; i = next_used(s, i + 1)) {
        const struct tensor_file *f = &s->files[s->tensors[i].file_idx];
        if (s->tensors[i].file_idx != last) {
            last = s->tensors[i].file_idx;
            set_direct(f->fd, on && !is_cached(f));
        }
    }
}

int tensor_stream_read(const struct tensor_file *files, const struct tensor_info *tensors, size_t n_tensors,
                       const struct tensor_read *read, struct err *err)
{
    struct stream s = { .files = files, .tensors = tensors, .n_tensors = n_tensors, .read = read, .err = err };
    s.bufs = MAP_FAILED;
    s.idx = s.plan_idx = next_used(&s, 0);
    if (s.idx == n_tensors) {
        return 0;
    }
    s.plan_offset = tensors[s.idx].offset;
    int rc = alloc_buffers(&s);
    if (rc == 0) {
        rc = loop_new(2 * N_SLOTS, &s.loop, err); // reads and their cancellation
    }
    if (rc == 0) {
        loop_register_buffer(s.loop, s.bufs, (size_t)N_SLOTS * CHUNK_BYTES);
        set_all_direct(&s, true);
        issue(&s);
        rc = loop_run_until_idle(s.loop);
        if (rc < 0 && !s.rc) {
            err_set(err, rc, "%s: io_uring: %s", files[tensors[s.idx].file_idx].name, strerror(-rc));
        }
        set_all_direct(&s, false);
        rc = s.rc ? s.rc : rc;
        assert(rc || (s.idx == n_tensors && s.bytes_done == s.bytes_total));
    }
    loop_free(s.loop);
    if (s.device) {
        s.device->ops->host_unpin(s.device, s.bufs);
    }
    free(s.carry);
    if (s.bufs != MAP_FAILED) {
        munmap(s.bufs, (size_t)N_SLOTS * CHUNK_BYTES);
    }
    return rc;
}
