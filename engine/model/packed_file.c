// The file: a head, its table of pieces, and the pieces, each of which begins at a multiple of ALIGN.
//
//   struct head | struct entry [n_pieces] | padding | piece 0 | padding | piece 1 | ...
//
// Numbers are as the machine has them: the file is made by the machine that reads it, or by one like it, and `magic` is
// a number. The head's sum covers head and table; each entry has the sum of its piece, which is made of sums of
// SUM_BYTES each, so that all workers share the work. Reads and writes are CHUNK_BYTES long, N_SLOTS in flight.
//
// Writing: PATH.part is locked (flock), filled, synced and renamed to PATH, then the directory is synced. A process
// that is killed leaves PATH.part without its lock, which the next one takes over.
#include "engine/model/packed_file.h"
#include "engine/base/loop.h"
#include "engine/base/str.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#define MAGIC          0x0a6b7073666b6f74ull // "tofkspk\n" where the first byte is the lowest
#define FORMAT         1u
#define ALIGN          4096u
#define CHUNK_BYTES    ((size_t)4 << 20)
#define N_SLOTS        16u
#define SUM_BYTES      ((size_t)1 << 20)
#define HEAD_BYTES_MAX ((uint64_t)64 << 20)

struct head {
    uint64_t magic;
    uint32_t format, form;
    uint64_t sum; // of head and table, with 0 here
    uint64_t file_bytes, n_pieces;
    uint64_t source[2], note;
    char version[32]; // of tokfs
};

struct entry {
    uint64_t offset, bytes, key, sum;
};

static uint64_t align_up(uint64_t n)
{
    return (n + ALIGN - 1) / ALIGN * ALIGN;
}

static size_t head_bytes(size_t n_pieces)
{
    return sizeof(struct head) + n_pieces * sizeof(struct entry);
}

static uint64_t head_sum(const struct head *head)
{
    struct head blank = *head;
    blank.sum = 0;
    uint64_t first = XXH3_64bits(&blank, sizeof(blank));
    return XXH3_64bits_withSeed(head + 1, head_bytes(head->n_pieces) - sizeof(blank), first);
}

// Where the pieces lie: an entry each, without its sum. Returns the file's length.
static uint64_t place_pieces(const struct packed_content *content, struct entry *entries)
{
    uint64_t at = align_up(head_bytes(content->n_pieces));
    for (size_t i = 0; i < content->n_pieces; i++) {
        const struct packed_piece *piece = &content->pieces[i];
        entries[i] = (struct entry){ .offset = at, .bytes = piece->bytes, .key = piece->key };
        at = align_up(at + piece->bytes);
    }
    return at;
}

// ---- sums ----------------------------------------------------------------------------------------------------------

struct sums {
    const struct packed_content *content;
    size_t *first;          // [n_pieces + 1], number of a piece's first part
    _Atomic uint64_t *sums; // [n_pieces]
};

static void sum_parts(void *ctx, size_t begin, size_t end, size_t worker)
{
    (void)worker;
    const struct sums *s = ctx;
    size_t piece = 0;
    for (size_t part = begin; part < end; part++) {
        for (size_t lo = piece, hi = s->content->n_pieces; hi - lo > 1;) { // the last that begins at or before it
            size_t mid = lo + (hi - lo) / 2;
            *(s->first[mid] <= part ? &lo : &hi) = mid;
            piece = lo;
        }
        const struct packed_piece *p = &s->content->pieces[piece];
        size_t at = (part - s->first[piece]) * SUM_BYTES, n = p->bytes - at < SUM_BYTES ? p->bytes - at : SUM_BYTES;
        atomic_fetch_add_explicit(&s->sums[piece], XXH3_64bits_withSeed((const char *)p->mem + at, n, at),
                                  memory_order_relaxed);
    }
}

// Into ret[n_pieces]. -ENOMEM.
static int sum_pieces(const struct packed_content *content, struct backend *b, uint64_t *ret)
{
    size_t n = content->n_pieces;
    struct sums s = { content, calloc(n + 1, sizeof(*s.first)), calloc(n + 1, sizeof(*s.sums)) };
    int rc = s.first && s.sums ? 0 : -ENOMEM;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        s.first[i + 1] = s.first[i] + (content->pieces[i].bytes + SUM_BYTES - 1) / SUM_BYTES;
    }
    if (rc == 0) {
        b->ops->spread(b, s.first[n], sum_parts, &s);
    }
    for (size_t i = 0; rc == 0 && i < n; i++) {
        ret[i] = atomic_load(&s.sums[i]);
    }
    free(s.first);
    free(s.sums);
    return rc;
}

// ---- transfer ------------------------------------------------------------------------------------------------------

struct span {
    unsigned char *mem;
    uint64_t offset, bytes;
};

struct transfer;

struct slot {
    struct loop_op op; // first
    struct transfer *t;
    struct span left;
};

struct transfer {
    struct loop *loop;
    int fd;
    bool is_write;
    const struct span *spans;
    size_t n_spans, idx; // span that is being issued
    uint64_t n_issued;   // bytes of it
    uint64_t bytes_done, bytes_total;
    const struct packed_io *io;
    int rc; // first failure; then nothing is issued
    struct slot slots[N_SLOTS];
};

static void transfer_done(struct loop_op *op, int res);

static void submit(struct transfer *t, struct slot *slot)
{
    slot->op.done = transfer_done;
    if (t->is_write) {
        loop_write(t->loop, &slot->op, t->fd, slot->left.mem, slot->left.bytes, slot->left.offset);
    } else {
        loop_read_slow(t->loop, &slot->op, t->fd, slot->left.mem, slot->left.bytes, slot->left.offset);
    }
}

static void issue(struct transfer *t, struct slot *slot)
{
    while (t->idx < t->n_spans && t->n_issued == t->spans[t->idx].bytes) {
        t->idx++;
        t->n_issued = 0;
    }
    if (t->rc || t->idx == t->n_spans) {
        return;
    }
    const struct span *span = &t->spans[t->idx];
    uint64_t n = span->bytes - t->n_issued < CHUNK_BYTES ? span->bytes - t->n_issued : CHUNK_BYTES;
    slot->left = (struct span){ span->mem + t->n_issued, span->offset + t->n_issued, n };
    t->n_issued += n;
    submit(t, slot);
}

static void transfer_done(struct loop_op *op, int res)
{
    struct slot *slot = (struct slot *)op;
    struct transfer *t = slot->t;
    if (res <= 0 && res != -EINTR && res != -EAGAIN) {
        t->rc = t->rc ? t->rc : res < 0 ? res : -EIO; // 0: the file ends here
        return;
    }
    size_t n = res > 0 ? (size_t)res : 0;
    slot->left = (struct span){ slot->left.mem + n, slot->left.offset + n, slot->left.bytes - n };
    t->bytes_done += n;
    if (t->io->progress && !t->is_write) {
        t->io->progress(t->io->progress_ctx, t->bytes_done, t->bytes_total);
    }
    if (t->rc == 0 && slot->left.bytes > 0) {
        submit(t, slot);
    } else {
        issue(t, slot);
    }
}

static void sync_done(struct loop_op *op, int res)
{
    struct slot *slot = (struct slot *)op;
    slot->t->rc = res < 0 ? res : 0;
}

// Reads or writes the spans; what was written is on the medium then.
static int transfer(int fd, bool is_write, const struct span *spans, size_t n_spans, const struct packed_io *io)
{
    struct err err;
    struct transfer t = { .fd = fd, .is_write = is_write, .spans = spans, .n_spans = n_spans, .io = io };
    int rc = loop_new(2 * N_SLOTS, &t.loop, &err);
    if (rc < 0) {
        return rc;
    }
    for (size_t i = 0; i < n_spans; i++) {
        t.bytes_total += spans[i].bytes;
    }
    for (size_t i = 0; i < N_SLOTS; i++) {
        t.slots[i].t = &t;
        issue(&t, &t.slots[i]);
    }
    rc = loop_run_until_idle(t.loop);
    if (rc == 0 && t.rc == 0 && is_write) {
        t.slots[0].op.done = sync_done;
        loop_fsync(t.loop, &t.slots[0].op, fd);
        rc = loop_run_until_idle(t.loop);
    }
    loop_free(t.loop);
    return t.rc ? t.rc : rc;
}

static int transfer_pieces(int fd, bool is_write, const struct packed_content *content, struct head *head,
                           const struct packed_io *io)
{
    const struct entry *entries = (const struct entry *)(head + 1);
    size_t n_head = is_write ? 1 : 0;
    struct span *spans = calloc(content->n_pieces + 1, sizeof(*spans));
    if (!spans) {
        return -ENOMEM;
    }
    spans[0] = (struct span){ (unsigned char *)head, 0, head_bytes(content->n_pieces) };
    for (size_t i = 0; i < content->n_pieces; i++) {
        spans[n_head + i] = (struct span){ content->pieces[i].mem, entries[i].offset, entries[i].bytes };
    }
    int rc = transfer(fd, is_write, spans, n_head + content->n_pieces, io);
    free(spans);
    return rc;
}

// ---- reading -------------------------------------------------------------------------------------------------------

// Whoever may write the file could make the model say anything.
static int check_trust(const char *path, const struct stat *st, struct err *err)
{
    if (!S_ISREG(st->st_mode)) {
        return err_set(err, -EPERM, "%s: not a regular file", path);
    }
    if (st->st_uid != geteuid() && st->st_uid != 0) {
        return err_set(err, -EPERM, "%s: it belongs to user %u, neither to this one nor to root", path,
                       (unsigned)st->st_uid);
    }
    if (st->st_mode & (S_IWGRP | S_IWOTH)) {
        return err_set(err, -EPERM, "%s: its mode is %o: others may write it", path, st->st_mode & 07777u);
    }
    return 0;
}

static ssize_t read_fully(int fd, void *buf, size_t n, uint64_t offset)
{
    size_t done = 0;
    while (done < n) {
        ssize_t got = pread(fd, (char *)buf + done, n - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return got < 0 ? -errno : (ssize_t)done;
        }
        done += (size_t)got;
    }
    return (ssize_t)done;
}

static int open_trusted(const char *path, int *ret_fd, struct stat *st, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK); // a pipe in its place must not block
    if (fd < 0) {
        return err_set(err, errno == ELOOP ? -EPERM : -errno, "%s: %s", path, strerror(errno));
    }
    int rc = fstat(fd, st) < 0 ? err_set(err, -errno, "%s: %s", path, strerror(errno)) : check_trust(path, st, err);
    if (rc < 0) {
        close(fd);
        return rc;
    }
    *ret_fd = fd;
    return 0;
}

// An empty file may be replaced; one that begins with something else is somebody's.
static int read_head(int fd, const char *path, uint64_t file_bytes, struct head **ret, struct err *err)
{
    struct head first;
    ssize_t n = read_fully(fd, &first, sizeof(first), 0);
    if (n < 0) {
        return err_set(err, (int)n, "%s: %s", path, strerror((int)-n));
    }
    if (n > 0 && (n < (ssize_t)sizeof(first.magic) || first.magic != MAGIC)) {
        return err_set(err, -EPERM, "%s: it is no packed model, and is left as it is", path);
    }
    if (n < (ssize_t)sizeof(first)) {
        return err_set(err, -ESTALE, "%s: it ends in its head", path);
    }
    first.version[sizeof(first.version) - 1] = 0;
    if (first.format != FORMAT) {
        return err_set(err, -ESTALE, "%s: it has format %u (of tokfs %s), and this tokfs reads format %u", path,
                       first.format, first.version, FORMAT);
    }
    if (first.n_pieces > HEAD_BYTES_MAX / sizeof(struct entry)) {
        return err_set(err, -ESTALE, "%s: its head is damaged", path);
    }
    size_t bytes = head_bytes(first.n_pieces);
    struct head *head = malloc(bytes);
    if (!head) {
        return err_set(err, -ENOMEM, "%s: no memory for a head of %zu bytes", path, bytes);
    }
    n = read_fully(fd, head, bytes, 0);
    int rc = 0;
    if (n < 0) {
        rc = err_set(err, (int)n, "%s: %s", path, strerror((int)-n));
    } else if ((size_t)n < bytes || head->n_pieces != first.n_pieces || head_sum(head) != head->sum) {
        rc = err_set(err, -ESTALE, "%s: its head is damaged", path);
    } else if (head->file_bytes != file_bytes) {
        rc = err_set(err, -ESTALE, "%s: it has %" PRIu64 " bytes of %" PRIu64, path, file_bytes, head->file_bytes);
    }
    if (rc < 0) {
        free(head);
        return rc;
    }
    *ret = head;
    return 0;
}

static int check_head(const struct head *head, const struct packed_content *content, const char *path, struct err *err)
{
    if (memcmp(head->source, content->source, sizeof(head->source)) != 0) {
        return err_set(err, -ESTALE, "%s: it was made from other files, or these have changed", path);
    }
    if (head->form != content->form) {
        return err_set(err, -ESTALE, "%s: it was made for another form of the weights", path);
    }
    const struct entry *entries = (const struct entry *)(head + 1);
    struct entry *wanted = calloc(content->n_pieces + 1, sizeof(*wanted));
    if (!wanted) {
        return err_set(err, -ENOMEM, "%s: no memory for its table", path);
    }
    bool fits = head->n_pieces == content->n_pieces && place_pieces(content, wanted) == head->file_bytes;
    for (size_t i = 0; fits && i < content->n_pieces; i++) {
        fits = entries[i].offset == wanted[i].offset && entries[i].bytes == wanted[i].bytes &&
               entries[i].key == wanted[i].key;
    }
    free(wanted);
    return fits ? 0
                : err_set(err, -ESTALE, "%s: it has another layout, of another version (%s) or processor", path,
                          head->version);
}

static int check_sums(const struct head *head, const struct packed_content *content, const struct packed_io *io,
                      const char *path, struct err *err)
{
    const struct entry *entries = (const struct entry *)(head + 1);
    uint64_t *sums = malloc((content->n_pieces + 1) * sizeof(*sums));
    int rc = sums ? sum_pieces(content, io->backend, sums) : -ENOMEM;
    if (rc < 0) {
        err_set(err, rc, "%s: no memory for %zu sums", path, content->n_pieces);
    }
    for (size_t i = 0; rc == 0 && i < content->n_pieces; i++) {
        if (sums[i] != entries[i].sum) {
            rc = err_set(err, -ESTALE, "%s: it is damaged between bytes %" PRIu64 " and %" PRIu64, path,
                         entries[i].offset, entries[i].offset + entries[i].bytes);
        }
    }
    free(sums);
    return rc;
}

static int fill_pieces(int fd, struct head *head, struct packed_content *content, const struct packed_io *io,
                       const char *path, struct err *err)
{
    int rc = transfer_pieces(fd, false, content, head, io);
    rc = rc < 0 ? err_set(err, rc, "%s: reading: %s", path, strerror(-rc)) : check_sums(head, content, io, path, err);
    if (rc == 0) {
        content->note = head->note;
        return 0;
    }
    for (size_t i = 0; i < content->n_pieces; i++) {
        memset(content->pieces[i].mem, 0, content->pieces[i].bytes);
    }
    return rc;
}

int packed_file_read(const char *path, struct packed_content *content, const struct packed_io *io, struct err *err)
{
    struct stat st;
    struct head *head = NULL;
    int fd, rc = open_trusted(path, &fd, &st, err);
    if (rc < 0) {
        return rc;
    }
    rc = read_head(fd, path, (uint64_t)st.st_size, &head, err);
    rc = rc < 0 ? rc : check_head(head, content, path, err);
    rc = rc < 0 ? rc : fill_pieces(fd, head, content, io, path, err);
    free(head);
    close(fd);
    return rc;
}

// ---- writing -------------------------------------------------------------------------------------------------------

// The part is ours alone: locked, and still the file of that name, since the one who had the lock may have moved it.
static int lock_part(int fd, const char *part, struct err *err)
{
    struct stat here, there;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0 || fstat(fd, &here) < 0 || lstat(part, &there) < 0 ||
        here.st_ino != there.st_ino || here.st_dev != there.st_dev) {
        return err_set(err, -EBUSY, "%s: another process is writing it", part);
    }
    return here.st_nlink == 1 ? check_trust(part, &here, err) : err_set(err, -EPERM, "%s: it has other names", part);
}

static int open_part(const char *part, int *ret_fd, struct err *err)
{
    int fd = open(part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (fd < 0) {
        return err_set(err, -errno, "%s: %s", part, strerror(errno));
    }
    int rc = lock_part(fd, part, err);
    if (rc < 0) {
        close(fd);
        return rc;
    }
    *ret_fd = fd;
    return 0;
}

static void sync_directory_of(const char *path)
{
    char dir[PATH_MAX];
    const char *slash = strrchr(path, '/');
    snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd); // without it the old one may come back, which is no harm
        close(fd);
    }
}

// What lies at `path` may be replaced: nothing, or such a file.
static int check_replaced(const char *path, struct err *err)
{
    struct stat st;
    uint64_t magic = 0;
    int fd, rc = open_trusted(path, &fd, &st, err);
    if (rc < 0) {
        return rc == -ENOENT ? 0 : rc;
    }
    if (st.st_size > 0 && (read_fully(fd, &magic, sizeof(magic), 0) != sizeof(magic) || magic != MAGIC)) {
        rc = err_set(err, -EPERM, "%s: it is no packed model, and is left as it is", path);
    }
    close(fd);
    return rc;
}

static int write_part(int fd, const struct packed_content *content, mode_t mode, const struct packed_io *io)
{
    struct head *head = calloc(1, head_bytes(content->n_pieces));
    uint64_t *sums = malloc((content->n_pieces + 1) * sizeof(*sums));
    int rc = head && sums ? sum_pieces(content, io->backend, sums) : -ENOMEM;
    if (rc == 0) {
        struct entry *entries = (struct entry *)(head + 1);
        *head = (struct head){ .magic = MAGIC, .format = FORMAT, .form = content->form, .note = content->note };
        snprintf(head->version, sizeof(head->version), "%s", TOKFS_VERSION);
        memcpy(head->source, content->source, sizeof(head->source));
        head->n_pieces = content->n_pieces;
        head->file_bytes = place_pieces(content, entries);
        for (size_t i = 0; i < content->n_pieces; i++) {
            entries[i].sum = sums[i];
        }
        head->sum = head_sum(head);
        rc = ftruncate(fd, 0) < 0 || fchmod(fd, mode) < 0 || ftruncate(fd, (off_t)head->file_bytes) < 0 ? -errno : 0;
        // A full disk is told before anything is written, where the file system can.
        if (rc == 0 && fallocate(fd, 0, 0, (off_t)head->file_bytes) < 0 && errno != EOPNOTSUPP && errno != ENOSYS) {
            rc = -errno;
        }
    }
    rc = rc < 0 ? rc : transfer_pieces(fd, true, content, head, io);
    free(sums);
    free(head);
    return rc;
}

int packed_file_write(const char *path, const struct packed_content *content, mode_t mode, const struct packed_io *io,
                      struct err *err)
{
    char part[PATH_MAX];
    if (snprintf(part, sizeof(part), "%s.part", path) >= (int)sizeof(part)) {
        return err_set(err, -ENAMETOOLONG, "%s: %s", path, strerror(ENAMETOOLONG));
    }
    int fd = -1, rc = check_replaced(path, err);
    if (rc < 0 || (rc = open_part(part, &fd, err)) < 0) {
        return rc;
    }
    rc = write_part(fd, content, mode, io);
    if (rc == 0 && rename(part, path) < 0) {
        rc = -errno;
    }
    if (rc < 0) {
        unlink(part);
        err_set(err, rc, "%s: %s", part, strerror(-rc));
    } else {
        sync_directory_of(path);
    }
    close(fd);
    return rc;
}
