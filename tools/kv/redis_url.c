#include "tools/kv/redis_url.h"
#include "engine/base/str.h"
#include <ctype.h>
#include <errno.h>
#include <string.h>

#define DB_MAX 65535

static int refuse(struct err *err, const char *what)
{
    return err_set(err, -EINVAL, "the URL of a Redis: %s", what);
}

static int hex_digit(char c)
{
    const char *digits = "0123456789abcdef";
    const char *at = memchr(digits, tolower((unsigned char)c), 16);
    return at ? (int)(at - digits) : -1;
}

static int decode(struct str text, char *ret, size_t size)
{
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '%') {
            int high = i + 2 < text.len ? hex_digit(text.ptr[i + 1]) : -1;
            int low = i + 2 < text.len ? hex_digit(text.ptr[i + 2]) : -1;
            if (high < 0 || low < 0 || high + low == 0) {
                return -EINVAL;
            }
            c = (char)(high * 16 + low);
            i += 2;
        }
        if (n + 1 >= size || c == 0) {
            return -EINVAL;
        }
        ret[n++] = c;
    }
    ret[n] = 0;
    return 0;
}

// The part before the last '@' of `authority`, which may hold one in a password that is not encoded.
static int take_login(struct str *authority, struct redis_url *ret, struct err *err)
{
    const char *at = authority->len > 0 ? memrchr(authority->ptr, '@', authority->len) : NULL;
    if (!at) {
        return 0;
    }
    struct str login = str_take(*authority, (size_t)(at - authority->ptr)), user;
    struct str password = str_cut(login, ':', &user);
    *authority = str_skip(*authority, login.len + 1);
    if (password.len == 0) {
        return refuse(err, "a login is [USER]:PASSWORD@");
    }
    if (decode(user, ret->user, sizeof(ret->user)) < 0 || decode(password, ret->password, sizeof(ret->password)) < 0) {
        return refuse(err, "the login is too long or has a bad % escape");
    }
    return 0;
}

static int take_db(struct str text, struct redis_url *ret, struct err *err)
{
    int64_t db = 0;
    if (text.len > 0 && (str_parse_i64(text, &db) < 0 || db < 0 || db > DB_MAX)) {
        return refuse(err, "the database is a number");
    }
    ret->db = (unsigned)db;
    return 0;
}

static int take_host(struct str text, struct redis_url *ret, struct err *err)
{
    struct str host = text, port = { 0 };
    if (str_starts_with(text, STR("["))) {
        port = str_cut(str_skip(text, 1), ']', &host);
        if (host.len + 1 == text.len || (port.len > 0 && port.ptr[0] != ':')) {
            return refuse(err, "an IPv6 address is [ADDRESS]");
        }
        port = str_skip(port, 1);
    } else {
        port = str_cut(text, ':', &host);
    }
    int64_t number = 6379;
    if (port.len > 0 && (str_parse_i64(port, &number) < 0 || number < 1 || number > 65535)) {
        return refuse(err, "the port is a number from 1 to 65535");
    }
    if (host.len == 0 || host.len >= sizeof(ret->host)) {
        return refuse(err, "the host is missing or too long");
    }
    memcpy(ret->host, host.ptr, host.len);
    ret->port = (uint16_t)number;
    return 0;
}

static int parse_unix(struct str rest, struct redis_url *ret, struct err *err)
{
    struct str path;
    struct str query = str_cut(rest, '?', &path);
    int r = take_login(&path, ret, err);
    if (r == 0 && (path.len < 2 || path.ptr[0] != '/' || path.len >= sizeof(ret->path))) {
        r = refuse(err, "unix:// needs an absolute path of at most 107 bytes");
    }
    if (r == 0 && query.len > 0 && !str_starts_with(query, STR("db="))) {
        r = refuse(err, "only ?db=NUMBER may follow the path");
    }
    if (r == 0) {
        memcpy(ret->path, path.ptr, path.len);
    }
    return r < 0 ? r : take_db(str_skip(query, 3), ret, err);
}

static int parse_tcp(struct str rest, struct redis_url *ret, struct err *err)
{
    // A password may hold a '/' that is not encoded: what counts is the first one after the login.
    const char *at = rest.len > 0 ? memrchr(rest.ptr, '@', rest.len) : NULL;
    size_t n_login = at ? (size_t)(at - rest.ptr) + 1 : 0;
    struct str host, login = str_take(rest, n_login);
    struct str db = str_cut(str_skip(rest, n_login), '/', &host);
    int r = take_login(&login, ret, err);
    r = r < 0 ? r : take_host(host, ret, err);
    return r < 0 ? r : take_db(db, ret, err);
}

int redis_url_parse(const char *url, struct redis_url *ret, struct err *err)
{
    struct str text = str_from(url);
    struct redis_url parsed = { 0 };
    int r;
    if (str_starts_with(text, STR("redis://"))) {
        r = parse_tcp(str_skip(text, 8), &parsed, err);
    } else if (str_starts_with(text, STR("unix://"))) {
        r = parse_unix(str_skip(text, 7), &parsed, err);
    } else {
        r = refuse(err, "redis://HOST:PORT/DB or unix:///PATH?db=DB is needed");
    }
    if (r == 0) {
        *ret = parsed;
    }
    return r;
}
