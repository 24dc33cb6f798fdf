// Gathering of written pieces.
//
// EMPTY --first byte that is not white space--> JSON or TEXT --body_reset--> EMPTY. A refused piece sets `failed`: the
// rest of the same text (a shell writes line by line and does not stop at an error) must not be taken for a new one.
#include "fs/body.h"
#include "engine/base/utf8.h"
#include <errno.h>

#define KEPT_BYTES_MAX (64u << 10)

void body_init(struct body *body, struct user *user, size_t bytes_max, unsigned takes)
{
    *body = (struct body){ .takes = takes };
    holding_init(&body->holding, user);
    strbuf_init(&body->bytes, bytes_max);
    json_scan_init(&body->scan);
}

void body_deinit(struct body *body)
{
    strbuf_deinit(&body->bytes);
    holding_deinit(&body->holding);
}

void body_reset(struct body *body)
{
    size_t bytes_max = body->bytes.len_max;
    strbuf_reset(&body->bytes);
    if (body->bytes.cap > KEPT_BYTES_MAX) {
        strbuf_deinit(&body->bytes);
        strbuf_init(&body->bytes, bytes_max);
        holding_set(&body->holding, 0);
    }
    json_scan_init(&body->scan);
    body->kind = BODY_EMPTY;
    body->n_checked = 0;
    body->n_last = 0;
    body->is_cut = false;
    body->settled = 0;
    body->is_blank = false;
    body->failed = 0;
}

static bool is_space(char byte)
{
    return byte == ' ' || byte == '\n' || byte == '\t' || byte == '\r';
}

// The white space at the beginning of `bytes`, and from where on it stands in the same line as what follows.
static size_t measure_space(struct str bytes, size_t *ret_line)
{
    size_t len = 0;
    for (*ret_line = 0; len < bytes.len && is_space(bytes.ptr[len]); len++) {
        *ret_line = bytes.ptr[len] == '\n' ? len + 1 : *ret_line;
    }
    return len;
}

static int choose_kind(struct body *body, char first, struct tokfs_error *reason)
{
    if (first == '{' || (first == '[' && body->takes & BODY_TAKES_ARRAY)) {
        body->kind = BODY_JSON;
    } else if (body->takes & BODY_TAKES_TEXT) {
        body->kind = BODY_TEXT;
    } else {
        const char *wanted = body->takes & BODY_TAKES_ARRAY ? "array or object" : "object";
        unsigned char byte = (unsigned char)first;
        if (byte >= 0x20 && byte < 0x7f) {
            return reason_set(reason, -EINVAL, NULL, "a JSON %s is expected, not text that begins with '%c'", wanted,
                              byte);
        }
        return reason_set(reason, -EINVAL, NULL, "a JSON %s is expected, not text that begins with byte 0x%02x", wanted,
                          byte);
    }
    return 0;
}

static int feed_json(struct body *body, struct str bytes, struct tokfs_error *reason)
{
    struct err err = { 0 };
    int r = json_scan_feed(&body->scan, bytes, &err);
    if (r < 0) {
        reason_from_err(reason, &err);
        return r;
    }
    return r == JSON_SCAN_COMPLETE ? BODY_COMPLETE : BODY_MORE;
}

static int feed_text(struct body *body, struct tokfs_error *reason)
{
    struct str rest = str_skip(strbuf_str(&body->bytes), body->n_checked);
    size_t n_valid = utf8_valid_len(rest);
    body->n_checked += n_valid;
    struct str bad = str_skip(rest, n_valid);
    if (bad.len > 0 && bad.len != utf8_incomplete_tail(bad)) {
        return reason_set(reason, -EINVAL, NULL, "text is not UTF-8 at byte %zu (0x%02x)", body->n_checked,
                          (unsigned char)bad.ptr[0]);
    }
    return BODY_MORE;
}

static int append(struct body *body, struct str bytes, struct tokfs_error *reason)
{
    size_t len_max = body->bytes.len_max;
    int r = bytes.len > len_max - body->bytes.len && len_max > 0
                ? -EFBIG
                : holding_grow(&body->holding, body->bytes.len + bytes.len, reason);
    if (r == -EDQUOT || r == -EAGAIN) {
        return r;
    }
    r = r == 0 ? strbuf_append(&body->bytes, bytes) : r;
    holding_set(&body->holding, body->bytes.cap);
    if (r == -EFBIG) {
        return reason_set(reason, r, NULL, "longer than the limit of %zu bytes", body->bytes.len_max);
    }
    return r < 0 ? reason_set(reason, r, NULL, "out of memory") : 0;
}

// Takes from `bytes` what does not count. Indentation waits in body->bytes until it is known what it belongs to.
static int begin(struct body *body, struct str *bytes, struct tokfs_error *reason)
{
    size_t line, n_space = measure_space(*bytes, &line);
    if (body->takes & BODY_IS_TEXT) {
        body->kind = bytes->len > 0 ? BODY_TEXT : BODY_EMPTY;
        return 0;
    }
    if (line > 0) {
        strbuf_reset(&body->bytes);
        *bytes = str_skip(*bytes, line);
        n_space -= line;
    }
    if (n_space == bytes->len) {
        body->is_blank |= line > 0 || n_space > 0;
        return 0;
    }
    body->is_blank = false;
    int r = choose_kind(body, bytes->ptr[n_space], reason);
    if (body->kind == BODY_JSON) {
        strbuf_reset(&body->bytes);
        *bytes = str_skip(*bytes, n_space);
    }
    return r;
}

void body_settle(struct body *body, int code)
{
    bool asks_again = code == -EINTR || code == -EAGAIN;
    if (code == 0 || (!body->is_cut && !asks_again)) {
        body_reset(body);
    } else {
        body->settled = code;
    }
}

// The piece that completed the body, once more?
static bool is_repeated(const struct body *body, struct str bytes)
{
    struct str all = strbuf_str(&body->bytes);
    return body->settled && str_eq(str_skip(all, all.len - body->n_last), bytes);
}

int body_feed(struct body *body, struct str bytes, struct tokfs_error *reason)
{
    int r = body->failed;
    if (r < 0) {
        return r; // the reason was given with the piece that failed
    }
    if (is_repeated(body, bytes)) {
        r = body->settled == -EINTR || body->settled == -EAGAIN ? BODY_COMPLETE : body->settled; // as in body_settle
        if (r < 0) {
            body_reset(body);
        }
        body->settled = 0;
        return r;
    }
    if (body->settled) {
        body_reset(body);
    }
    body->is_cut = body->kind != BODY_EMPTY && body->n_last >= bytes.len; // pieces of one length, and a rest
    body->n_last = bytes.len;
    if (body->kind == BODY_EMPTY) {
        r = begin(body, &bytes, reason);
    }
    if (r == 0) {
        r = append(body, bytes, reason);
    }
    if (r == 0 && body->kind != BODY_EMPTY) {
        r = body->kind == BODY_JSON ? feed_json(body, bytes, reason) : feed_text(body, reason);
    }
    if (r < 0) {
        body->failed = r;
    }
    return r;
}

static bool is_complete(const struct body *body)
{
    return body->kind == BODY_JSON && !body->failed && json_scan_end(&body->scan, NULL) == 0;
}

void body_refuse(struct body *body, int code)
{
    code = is_complete(body) ? 0 : code;
    body_reset(body);
    body->failed = code;
}

int body_give_up(struct body *body, struct tokfs_error *reason)
{
    if (body->kind == BODY_EMPTY || body->failed || is_complete(body)) {
        return 0;
    }
    body_reset(body);
    body->failed = -ETIMEDOUT;
    return reason_set(reason, -ETIMEDOUT, NULL, "the writer stalled in the middle (--write-timeout): write it again");
}

int body_check_end(const struct body *body, struct tokfs_error *reason)
{
    if (body->kind == BODY_JSON) {
        struct err err = { 0 };
        int r = json_scan_end(&body->scan, &err);
        if (r < 0) {
            reason_from_err(reason, &err);
        }
        return r;
    }
    if (body->kind == BODY_TEXT && body->n_checked < body->bytes.len) {
        return reason_set(reason, -EINVAL, NULL, "text ends inside a UTF-8 character, at byte %zu", body->n_checked);
    }
    return 0;
}

struct str body_text(const struct body *body)
{
    struct str text = strbuf_str(&body->bytes);
    if (text.len > 0 && text.ptr[text.len - 1] == '\n') {
        text.len--;
    }
    return text;
}
