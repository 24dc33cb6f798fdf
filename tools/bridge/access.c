// A user's credentials are kept as a personality of the ring: what is opened with it is opened by that user, although
// the bridge is one process with one thread. Making one needs to become the user for a moment, hence root.
#include "tools/bridge/access.h"
#include <ctype.h>
#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HASH_BYTES 32

struct key {
    unsigned char hash[HASH_BYTES];
    unsigned user_idx;
};

struct user {
    struct access_user told;
    char name[64];
};

struct table {
    struct key *keys;
    struct user *users; // one of each name
    size_t n_keys, n_users;
};

struct access {
    struct loop *loop;
    struct table table;
};

int access_new(struct loop *loop, struct access **ret)
{
    struct access *access = calloc(1, sizeof(*access));
    if (!access) {
        return -ENOMEM;
    }
    access->loop = loop;
    *ret = access;
    return 0;
}

static void table_deinit(struct loop *loop, struct table *table)
{
    for (size_t i = 0; i < table->n_users; i++) {
        if (table->users[i].told.personality) {
            loop_remove_personality(loop, table->users[i].told.personality);
        }
    }
    free(table->keys);
    free(table->users);
}

void access_free(struct access *access)
{
    if (access) {
        table_deinit(access->loop, &access->table);
        free(access);
    }
}

static void hash_bytes(struct str key, unsigned char ret[HASH_BYTES])
{
    if (gnutls_hash_fast(GNUTLS_DIG_SHA256, key.ptr, key.len, ret) < 0) {
        abort(); // every build of the library has it
    }
}

void access_hash(struct str key, char ret[65])
{
    unsigned char hash[HASH_BYTES];
    hash_bytes(key, hash);
    for (int i = 0; i < HASH_BYTES; i++) {
        snprintf(ret + (size_t)(2 * i), 3, "%02x", hash[i]);
    }
}

const struct access_user *access_find(const struct access *access, struct str key)
{
    const struct access_user *found = NULL;
    unsigned char hash[HASH_BYTES];
    hash_bytes(key, hash);
    for (size_t i = 0; i < access->table.n_keys; i++) {
        if (gnutls_memcmp(hash, access->table.keys[i].hash, HASH_BYTES) == 0) {
            found = &access->table.users[access->table.keys[i].user_idx].told;
        }
    }
    return found;
}

// ---- reading the file ----------------------------------------------------------------------------------------------

static int become(struct loop *loop, const char *name, struct access_user *ret, struct err *err)
{
    struct passwd *entry = getpwnam(name);
    uid_t uid = geteuid();
    gid_t gid = getegid();
    if (!entry) {
        return err_set(err, -ENOENT, "there is no user %s", name);
    }
    ret->uid = entry->pw_uid;
    if (entry->pw_uid == uid) {
        return 0;
    }
    gid_t groups[256];
    int n_groups = getgroups(256, groups), r = -EPERM;
    if (n_groups < 0 || initgroups(name, entry->pw_gid) < 0 || setegid(entry->pw_gid) < 0) {
        return err_set(err, -EPERM, "user %s: only root can open files on behalf of others", name);
    }
    if (seteuid(entry->pw_uid) == 0) {
        r = loop_add_personality(loop);
    }
    if (seteuid(uid) < 0 || setegid(gid) < 0 || setgroups((size_t)n_groups, groups) < 0) {
        abort(); // must not go on as somebody else
    }
    if (r < 0) {
        return err_set(err, r, "user %s: the kernel refuses: %s", name, strerror(-r));
    }
    ret->personality = (unsigned)r;
    return 0;
}

static int find_or_add_user(struct loop *loop, struct table *table, struct str name, unsigned *ret, struct err *err)
{
    for (size_t i = 0; i < table->n_users; i++) {
        if (str_eq(str_from(table->users[i].name), name)) {
            *ret = (unsigned)i;
            return 0;
        }
    }
    struct user *users = realloc(table->users, (table->n_users + 1) * sizeof(*users));
    if (!users) {
        return err_set(err, -ENOMEM, "out of memory");
    }
    table->users = users;
    struct user *user = &users[table->n_users];
    if (name.len >= sizeof(user->name)) {
        return err_set(err, -EINVAL, "the user's name has %zu bytes", name.len);
    }
    *user = (struct user){ .told.uid = geteuid() };
    memcpy(user->name, name.ptr, name.len);
    int r = str_eq(name, STR("-")) ? 0 : become(loop, user->name, &user->told, err);
    if (r == 0) {
        *ret = (unsigned)table->n_users++;
    }
    return r;
}

static int hex_digit(char c)
{
    return isdigit((unsigned char)c) ? c - '0'
           : c >= 'a' && c <= 'f'    ? c - 'a' + 10
           : c >= 'A' && c <= 'F'    ? c - 'A' + 10
                                     : -1;
}

static int parse_hash(struct str text, unsigned char ret[HASH_BYTES], struct err *err)
{
    bool is_hash = text.len == (size_t)2 * HASH_BYTES;
    for (size_t i = 0; is_hash && i < text.len; i++) {
        is_hash = hex_digit(text.ptr[i]) >= 0;
    }
    for (size_t i = 0; is_hash && i < HASH_BYTES; i++) {
        ret[i] = (unsigned char)(16 * hex_digit(text.ptr[2 * i]) + hex_digit(text.ptr[2 * i + 1]));
    }
    return is_hash ? 0 : err_set(err, -EINVAL, "a hash of 64 hexadecimal digits is needed (tokfs-bridge --hash-key)");
}

static int check_user(const struct table *table, const struct key *key, struct err *err)
{
    for (size_t i = 0; i < table->n_keys; i++) {
        const struct key *other = &table->keys[i];
        if (other->user_idx != key->user_idx && memcmp(other->hash, key->hash, HASH_BYTES) == 0) {
            return err_set(err, -EINVAL, "this key is %s's and %s's", table->users[other->user_idx].name,
                           table->users[key->user_idx].name);
        }
    }
    return 0;
}

static int take_line(struct loop *loop, struct table *table, struct str line, struct err *err)
{
    struct str hash, name = str_trim(str_cut(line, ' ', &hash));
    struct key *keys = realloc(table->keys, (table->n_keys + 1) * sizeof(*keys));
    if (!keys) {
        return err_set(err, -ENOMEM, "out of memory");
    }
    table->keys = keys;
    struct key *key = &keys[table->n_keys];
    int r = parse_hash(hash, key->hash, err);
    if (r == 0 && (name.len == 0 || memchr(name.ptr, ' ', name.len))) {
        r = err_set(err, -EINVAL, "one user's name (or -) is needed after the hash");
    }
    r = r < 0 ? r : find_or_add_user(loop, table, name, &key->user_idx, err);
    r = r < 0 ? r : check_user(table, key, err);
    table->n_keys += r == 0;
    return r;
}

static int read_table(struct loop *loop, FILE *file, struct table *table, size_t *ret_line, struct err *err)
{
    char *line = NULL;
    size_t size = 0;
    int r = 0;
    for (*ret_line = 0; r == 0 && getline(&line, &size, file) >= 0;) {
        ++*ret_line;
        struct str text = str_trim(str_from(line));
        if (text.len > 0 && text.ptr[0] != '#') {
            r = take_line(loop, table, text, err);
        }
    }
    free(line);
    return r;
}

int access_load(struct access *access, const char *path, struct err *err)
{
    struct table table = { 0 };
    size_t line;
    struct err reason = { 0 };
    FILE *file = fopen(path, "re");
    if (!file) {
        return err_set(err, -errno, "--api-keys %s: %s", path, strerror(errno));
    }
    int r = read_table(access->loop, file, &table, &line, &reason);
    fclose(file);
    if (r == 0 && table.n_keys == 0) {
        table_deinit(access->loop, &table);
        return err_set(err, -EINVAL, "--api-keys %s: no keys in it", path);
    }
    if (r < 0) {
        table_deinit(access->loop, &table);
        return err_set(err, r, "--api-keys %s, line %zu: %s", path, line, reason.msg);
    }
    table_deinit(access->loop, &access->table);
    access->table = table;
    for (size_t i = 0; i < table.n_users; i++) {
        table.users[i].told.name = table.users[i].name;
    }
    return 0;
}
