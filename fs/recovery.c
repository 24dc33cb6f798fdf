// The file of a journal, read through a window from its beginning; then the end of what a restart interrupted.
//
//   HEAD record record ... record | torn tail          | is where the file is cut off
//
// A tail is torn if no MARK in it tells that its beginning had been synced: otherwise the medium, or somebody, has
// changed what was safe, and dropping it silently would lose what was promised.
#include "fs/recovery.h"
#include "engine/base/log.h"
#include "fs/journal.h"
#include "fs/journal_record.h"
#include "fs/mount.h"
#include "fs/recovery_apply.h"
#include "fs/session.h"
#include "fs/session_table.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WINDOW_BYTES (1u << 20)

struct scan {
    int fd;
    uint64_t offset; // of the next record
    struct strbuf window;
    uint64_t window_offset;
    bool is_at_end; // of the file: the window has all that is left
    int error;      // of reading
};

// ---- the window ----------------------------------------------------------------------------------------------------

static struct str ahead(const struct scan *scan)
{
    return str_skip(strbuf_str(&scan->window), (size_t)(scan->offset - scan->window_offset));
}

static void read_more(struct scan *scan, size_t n_wanted)
{
    struct str rest = ahead(scan);
    size_t n = n_wanted > WINDOW_BYTES ? n_wanted : WINDOW_BYTES;
    if (rest.len > 0 && scan->offset > scan->window_offset) {
        memmove(scan->window.ptr, rest.ptr, rest.len);
    }
    scan->window.len = rest.len;
    scan->window_offset = scan->offset;
    while (scan->window.len < n && !scan->is_at_end && scan->error == 0) {
        size_t n_more = n - scan->window.len;
        if (strbuf_reserve(&scan->window, n_more) < 0) {
            scan->error = -ENOMEM;
            return;
        }
        ssize_t got = pread(scan->fd, scan->window.ptr + scan->window.len, n_more,
                            (off_t)(scan->window_offset + scan->window.len));
        scan->error = got < 0 && errno != EINTR ? -errno : 0;
        scan->is_at_end = got == 0;
        scan->window.len += got > 0 ? (size_t)got : 0;
    }
}

// The record at the offset: its length; 0: the file ends before its end; -EBADMSG: there is none.
static int64_t record_here(struct scan *scan, struct record *ret)
{
    if (ahead(scan).len < RECORD_HEAD_BYTES && !scan->is_at_end) {
        read_more(scan, RECORD_HEAD_BYTES);
    }
    int64_t len = record_length(ahead(scan));
    if (len > 0 && ahead(scan).len < (uint64_t)len && !scan->is_at_end) {
        read_more(scan, (size_t)len);
    }
    return scan->error ? scan->error : record_parse(ahead(scan), ret);
}

// ---- the head ------------------------------------------------------------------------------------------------------

static int refuse(struct err *err, const char *path, const char *what, struct str theirs, const char *ours)
{
    return err_set(err, -EINVAL, "%s: it was written for %s \"%.*s\", and this is \"%s\"", path, what,
                   STR_ARG(str_take(theirs, 80)), ours);
}

static int check_head(const struct journal *j, const struct record *record, const char *path, struct err *err)
{
    const struct tokfs_engine_info *info = &j->mount->info;
    struct record_reader reader = { .rest = record->body }, own;
    struct strbuf body;
    strbuf_init(&body, 0);
    journal_put_head(j->mount, &body);
    own = (struct record_reader){ .rest = strbuf_str(&body) };
    uint32_t format = record_get_u32(&reader);
    record_get_u32(&own);
    struct str version = record_get_str(&reader);
    record_get_str(&own);
    struct str model = record_get_str(&reader);
    record_get_str(&own);
    struct str architecture = record_get_str(&reader);
    record_get_str(&own);
    bool is_same = record_get_u64(&reader) == record_get_u64(&own);         // vocabulary
    is_same = (record_get_u64(&reader) == record_get_u64(&own)) && is_same; // parameters
    is_same = (record_get_u64(&reader) == record_get_u64(&own)) && is_same; // configuration and tokenizer
    struct str fingerprint = record_get_str(&reader);
    bool has_other_weights = reader.rest.len > 0 && record_get_u64(&reader) != info->weights_hash; // early ones lack it
    bool has_other_tokenizer = reader.rest.len > 0 && record_get_u64(&reader) != info->tokenizer_hash;
    strbuf_deinit(&body);
    if (format != JOURNAL_FORMAT) {
        return err_set(err, -EINVAL,
                       "%s: it has format %u (of tokfs %.*s), and this is tokfs " TOKFS_VERSION
                       ", which reads format %d",
                       path, format, STR_ARG(str_take(version, 40)), JOURNAL_FORMAT);
    }
    if (!str_eq(architecture, str_from(info->architecture))) {
        return refuse(err, path, "a model of architecture", architecture, info->architecture);
    }
    if (reader.is_bad || !is_same) {
        return err_set(err, -EINVAL,
                       "%s: it was written for another model (served as \"%.*s\"): size, vocabulary or files differ",
                       path, STR_ARG(str_take(model, 80)));
    }
    if (has_other_tokenizer) {
        return err_set(err, -EINVAL, "%s: it was written for a model (served as \"%.*s\") with another tokenizer", path,
                       STR_ARG(str_take(model, 80)));
    }
    if (has_other_weights) {
        return err_set(err, -EINVAL,
                       "%s: it was written for a model of the same form (served as \"%.*s\") with other weights", path,
                       STR_ARG(str_take(model, 80)));
    }
    if (!str_eq(fingerprint, str_from(info->fingerprint))) {
        log_warn("%s: it was written by tokfs %.*s under the name \"%.*s\" (%.*s): answers go on, but other versions "
                 "and devices may go on differently",
                 path, STR_ARG(str_take(version, 40)), STR_ARG(str_take(model, 80)),
                 STR_ARG(str_take(fingerprint, 40)));
    }
    return 0;
}

// ---- the end -------------------------------------------------------------------------------------------------------

// Whether a MARK further on tells that the byte at `bad` had been synced.
static bool is_damaged(struct scan *scan, uint64_t bad, uint64_t seq)
{
    struct record record;
    for (scan->offset = bad + 1; scan->error == 0; scan->offset++) {
        int64_t len;
        while ((len = record_here(scan, &record)) > 0 && record.seq >= seq) {
            struct record_reader reader = { .rest = record.body };
            if (record.type == RECORD_MARK && record_get_u64(&reader) > bad) {
                return true;
            }
            scan->offset += (uint64_t)len;
        }
        if (scan->is_at_end && ahead(scan).len == 0) {
            return false;
        }
    }
    return false;
}

static int cut_tail(struct journal *j, struct scan *scan, const char *path, struct err *err)
{
    uint64_t end = scan->offset, size = (uint64_t)lseek(scan->fd, 0, SEEK_END);
    if (end < size && is_damaged(scan, end, j->file.seq)) {
        return err_set(err, -EBADMSG,
                       "%s: damaged at byte %" PRIu64 " of %" PRIu64 ", which had been synced: restore it, or move it "
                       "away to begin without its conversations",
                       path, end, size);
    }
    if (scan->error) {
        return err_set(err, scan->error, "%s: %s", path, strerror(-scan->error));
    }
    if (end < size) {
        log_warn("%s: the last %" PRIu64 " bytes were not written to their end and are left out", path, size - end);
    }
    if ((end < size && ftruncate(scan->fd, (off_t)end) < 0) || fdatasync(scan->fd) < 0) {
        return err_set(err, -errno, "%s: %s", path, strerror(errno));
    }
    j->file.end = j->file.synced = j->file.data_end = end;
    return 0;
}

// ---- all of it -----------------------------------------------------------------------------------------------------

static int apply_all(struct journal *j, struct scan *scan, const char *path, struct err *err)
{
    struct record record;
    int64_t len;
    int r = 0;
    while (r == 0 && (len = record_here(scan, &record)) > 0 && record.seq == j->file.seq &&
           record.epoch >= j->file.epoch) {
        if (scan->offset == 0) {
            r = record.type == RECORD_HEAD ? check_head(j, &record, path, err) : -EBADMSG;
        } else if (record.type == RECORD_MARK) {
            struct record_reader reader = { .rest = record.body };
            j->file.marked = record_get_u64(&reader);
        } else {
            r = recovery_apply(j->recovery, &record);
            j->file.data_end = scan->offset + (uint64_t)len;
        }
        j->file.epoch = record.epoch;
        j->file.seq++;
        if (r == 0) {
            scan->offset += (uint64_t)len;
        }
    }
    if (r == -EBADMSG) {
        return err_set(err, r, "%s: the record at byte %" PRIu64 " makes no sense", path, scan->offset);
    }
    return r == -ENOMEM ? err_set(err, r, "%s: out of memory", path) : r;
}

static int open_existing(const struct journal *j, const char *path, int *ret_fd, struct err *err)
{
    struct stat st;
    int fd = openat(j->dir->fd, JOURNAL_NAME, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || fstat(fd, &st) < 0) {
        int code = -errno;
        if (fd >= 0) {
            close(fd);
        }
        return code == -ENOENT ? code : err_set(err, code, "%s: %s", path, strerror(-code));
    }
    if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_mode & 077) {
        close(fd);
        return err_set(err, -EACCES, "%s: not a file of mode 0600 that belongs to user %u", path, geteuid());
    }
    *ret_fd = fd;
    return 0;
}

static int write_head(const struct journal *j, struct journal_file *file)
{
    struct strbuf body;
    strbuf_init(&body, 0);
    journal_put_head(j->mount, &body);
    journal_file_append(file, RECORD_HEAD, strbuf_str(&body));
    strbuf_deinit(&body);
    struct str bytes = strbuf_str(&file->gather);
    errno = EIO;
    if (file->gather.error || pwrite(file->fd, bytes.ptr, bytes.len, 0) != (ssize_t)bytes.len || fsync(file->fd) < 0) {
        return file->gather.error ? file->gather.error : -errno;
    }
    file->end = file->synced = file->data_end = bytes.len;
    strbuf_reset(&file->gather);
    return 0;
}

// A new file is complete before it has its name.
static int begin_file(struct journal *j, const char *path, struct err *err)
{
    int dir = j->dir->fd;
    j->file.fd = openat(dir, JOURNAL_NEW_NAME, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    int r = j->file.fd < 0 ? -errno : write_head(j, &j->file);
    if (r == 0 && (renameat(dir, JOURNAL_NEW_NAME, dir, JOURNAL_NAME) < 0 || fsync(dir) < 0)) {
        r = -errno;
    }
    return r < 0 ? err_set(err, r, "%s: %s", path, strerror(-r)) : 0;
}

static int read_file(struct journal *j, const char *path, struct err *err)
{
    struct scan scan = { .fd = j->file.fd };
    strbuf_init(&scan.window, 0);
    int r = apply_all(j, &scan, path, err);
    bool is_empty = r == 0 && scan.offset == 0 && scan.error == 0;
    if (is_empty && lseek(scan.fd, 0, SEEK_END) >= RECORD_HEAD_BYTES && record_length(ahead(&scan)) < 0) {
        r = err_set(err, -EINVAL, "%s: it is not a journal of tokfs", path);
    } else if (r == 0) {
        r = cut_tail(j, &scan, path, err);
    }
    strbuf_deinit(&scan.window);
    if (r == 0 && is_empty) { // not even its head was written to the end
        log_warn("%s: it holds nothing, not even a head as this program writes it before the file has its name: begun "
                 "anew",
                 path);
        close(j->file.fd);
        j->file.seq = j->file.end = 0;
        r = begin_file(j, path, err);
    }
    j->file.epoch = j->file.epoch < RECORD_EPOCH_MAX ? (uint16_t)(j->file.epoch + 1) : RECORD_EPOCH_MAX;
    return r;
}

int recovery_read(struct journal *j, struct err *err)
{
    char path[256];
    journal_path(j, path, sizeof(path));
    unlinkat(j->dir->fd, JOURNAL_NEW_NAME, 0); // of a compaction that did not come to its end
    int r = recovery_new(j->mount, &j->recovery);
    if (r < 0) {
        return err_set(err, r, "out of memory");
    }
    r = open_existing(j, path, &j->file.fd, err);
    if (r == -ENOENT) {
        return begin_file(j, path, err);
    }
    r = r == 0 ? read_file(j, path, err) : r;
    if (r == 0 && session_table_count(j->mount->sessions) > 0) {
        log_info("%s: %zu conversations", path, session_table_count(j->mount->sessions));
    }
    return r;
}

// ---- what was interrupted ------------------------------------------------------------------------------------------

static void close_draft(struct mount *mount, struct found_draft *draft)
{
    struct session *session = draft->session;
    struct node *node = &session->files[draft->file_idx];
    const struct fuse_ctx writer = { .uid = draft->uid, .gid = draft->gid };
    struct file *file;
    int r = node->type->put_draft ? file_new(mount, node, draft->flags, &writer, &file) : -EINVAL;
    if (r < 0) {
        log_error("a text for %s/%s is lost: %s", session->name, node->type->name, strerror(-r));
        return;
    }
    file->draft_id = draft->id;
    session->n_drafts++;
    if (file->type->open(file) == 0) {
        file->is_opened = true;
        file->type->write(file, strbuf_str(&draft->bytes));
    }
    file_free(file);
}

void recovery_finish(struct journal *j)
{
    struct recovery *recovery = j->recovery;
    j->n_drafts_made = recovery->n_drafts_made;
    list_for_each(link, next, &j->mount->all_sessions)
    {
        struct session *session = list_entry(link, struct session, all_link);
        session_weigh(session);
        session_resume(session);
    }
    while (!list_is_empty(&recovery->drafts)) {
        struct found_draft *draft = list_entry(recovery->drafts.next, struct found_draft, link);
        if (!draft->session->is_removed) {
            close_draft(j->mount, draft);
        }
        recovery_drop_draft(draft);
    }
    recovery_free(recovery);
    j->recovery = NULL;
}
