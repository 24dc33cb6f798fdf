// Chained hash by name, grown by doubling, and one list in order of use. A listed session is held by one reference of
// the table. A session is idle when no turn runs in it and no file of it is open.
#include "fs/session_table.h"
#include "fs/journal.h"
#include "fs/mount.h"
#include "fs/random_id.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

struct session_table {
    struct mount *mount;
    struct session **buckets; // [n_buckets], a power of two
    size_t n_buckets, n;
    struct list used; // least recently used first
};

// FNV-1a (Fowler, Noll, Vo), 64 bits.
static uint64_t hash(struct str name)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < name.len; i++) {
        h = (h ^ (unsigned char)name.ptr[i]) * 0x100000001b3u;
    }
    return h ^ h >> 32;
}

static struct session **bucket(struct session_table *table, struct str name)
{
    return &table->buckets[hash(name) & (table->n_buckets - 1)];
}

int session_table_new(struct mount *mount, struct session_table **ret)
{
    struct session_table *table = calloc(1, sizeof(*table));
    if (!table) {
        return -ENOMEM;
    }
    table->mount = mount;
    table->n_buckets = 64;
    table->buckets = calloc(table->n_buckets, sizeof(*table->buckets));
    list_init(&table->used);
    if (!table->buckets) {
        free(table);
        return -ENOMEM;
    }
    *ret = table;
    return 0;
}

void session_table_free(struct session_table *table)
{
    if (!table) {
        return;
    }
    while (!list_is_empty(&table->used)) {
        session_table_remove(table, list_entry(table->used.next, struct session, used_link));
    }
    free(table->buckets);
    free(table);
}

size_t session_table_count(const struct session_table *table)
{
    return table->n;
}

struct session *session_table_find(struct session_table *table, struct str name)
{
    struct session *session = *bucket(table, name);
    while (session && !str_eq(str_from(session->name), name)) {
        session = session->hash_next;
    }
    return session;
}

static void insert(struct session_table *table, struct session *session)
{
    struct session **head = bucket(table, str_from(session->name));
    session->hash_next = *head;
    *head = session;
}

static void take_out(struct session_table *table, struct session *session)
{
    struct session **at = bucket(table, str_from(session->name));
    while (*at != session) {
        at = &(*at)->hash_next;
    }
    *at = session->hash_next;
    session->hash_next = NULL;
}

static void grow(struct session_table *table)
{
    struct session **old = table->buckets;
    struct session **buckets = table->n < table->n_buckets ? NULL : calloc(table->n_buckets * 2, sizeof(*buckets));
    if (!buckets) {
        return; // short of memory: longer chains
    }
    table->buckets = buckets;
    table->n_buckets *= 2;
    list_for_each(link, next, &table->used)
    {
        insert(table, list_entry(link, struct session, used_link));
    }
    free(old);
}

// The least recently used one of a user in which nothing happens goes, if there is one.
static bool give_up_idle(struct session_table *table, const struct user *user)
{
    list_for_each(link, next, &user->sessions)
    {
        struct session *session = list_entry(link, struct session, user_link);
        if (!session_is_busy(session) && session->n_files == 0) {
            session_table_remove(table, session);
            return true;
        }
    }
    return false;
}

static int make_room(struct session_table *table, const struct user *user)
{
    if (mount_is_draining(table->mount)) {
        return -ESHUTDOWN; // nothing is to make room for
    }
    if (user_is_at_limit(user, USER_SESSIONS)) {
        return give_up_idle(table, user) ? 0 : -EDQUOT;
    }
    if (table->n < table->mount->limits.n_sessions) {
        return 0;
    }
    const struct user *most = users_with_most(table->mount->users, USER_SESSIONS);
    if (most->n[USER_SESSIONS] > user->n[USER_SESSIONS] && give_up_idle(table, most)) {
        return 0;
    }
    return give_up_idle(table, user) ? 0 : -EDQUOT;
}

static int check_name(struct str name)
{
    if (name.len > SESSION_NAME_MAX) {
        return -ENAMETOOLONG;
    }
    for (size_t i = 0; i < name.len; i++) {
        unsigned char byte = (unsigned char)name.ptr[i];
        if (byte < 0x20 || byte == 0x7f) {
            return -EINVAL;
        }
    }
    return name.len > 0 ? 0 : -EINVAL;
}

static void take_in(struct session_table *table, struct session *session)
{
    insert(table, session);
    list_append(&table->used, &session->used_link);
    list_append(&session->user->sessions, &session->user_link);
    table->n++;
    grow(table);
}

int session_table_create(struct session_table *table, struct str name, uid_t uid, gid_t gid, pid_t pid,
                         struct session **ret)
{
    char id[RANDOM_ID_LEN + 1];
    struct session *session;
    struct user *user = user_get(table->mount->users, uid);
    int r = user ? journal_check(table->mount) : -ENOMEM;
    if (r == 0 && !name.ptr) {
        r = random_id_write("", id, sizeof(id));
        name = (struct str){ id, RANDOM_ID_LEN };
    }
    if (r == 0) {
        r = check_name(name);
    }
    if (r == 0) {
        r = make_room(table, user);
    }
    if (r == 0) {
        r = session_new(table->mount, name, uid, gid, &session);
    }
    user_put(user); // the session has its own
    if (r < 0) {
        return r;
    }
    user_charge(session->user, USER_SESSIONS, NULL);
    session_weigh(session);
    ancestry_read("/proc", pid, &session->creator);
    take_in(table, session);
    journal_session_made(session);
    *ret = session;
    return 0;
}

int session_table_restore(struct session_table *table, struct str name, uid_t uid, gid_t gid, uint64_t serial,
                          struct session **ret)
{
    int r = check_name(name);
    if (r == 0 && session_table_find(table, name)) {
        r = -EEXIST;
    }
    r = r == 0 ? session_restore(table->mount, name, uid, gid, serial, ret) : r;
    if (r == 0) {
        user_take((*ret)->user, USER_SESSIONS);
        take_in(table, *ret);
    }
    return r;
}

int session_table_rename(struct session_table *table, struct session *session, struct str name)
{
    int r = check_name(name);
    r = r == 0 ? journal_check(table->mount) : r;
    char *copy = r == 0 ? str_dup(name) : NULL;
    if (!copy) {
        return r < 0 ? r : -ENOMEM;
    }
    take_out(table, session);
    free(session->name);
    session->name = copy;
    insert(table, session);
    journal_session_renamed(session);
    return 0;
}

void session_table_remove(struct session_table *table, struct session *session)
{
    assert(!session->is_removed);
    journal_session_removed(session);
    take_out(table, session);
    list_remove(&session->used_link);
    list_remove(&session->user_link);
    user_uncharge(session->user, USER_SESSIONS);
    table->n--;
    session_remove(session);
    session_unref(session);
}

void session_table_touch(struct session_table *table, struct session *session)
{
    list_remove(&session->used_link);
    list_append(&table->used, &session->used_link);
    list_remove(&session->user_link);
    list_append(&session->user->sessions, &session->user_link);
}

void session_table_each(struct session_table *table, const struct user *user,
                        void (*fn)(void *ctx, struct session *session), void *ctx)
{
    list_for_each(link, next, user ? &user->sessions : &table->used)
    {
        fn(ctx, user ? list_entry(link, struct session, user_link) : list_entry(link, struct session, used_link));
    }
}

struct session *session_table_last(struct session_table *table, uid_t uid, pid_t pid)
{
    struct session *best = NULL;
    unsigned best_distance = ANCESTRY_MAX + 1;
    struct ancestry caller;
    struct user *user = user_get(table->mount->users, uid);
    if (!user) {
        return NULL;
    }
    ancestry_read("/proc", pid, &caller);
    list_for_each(link, next, &user->sessions)
    {
        struct session *session = list_entry(link, struct session, user_link);
        unsigned distance = ancestry_distance(&caller, &session->creator);
        if (distance < best_distance || (distance == best_distance && session->serial > best->serial)) {
            best = session;
            best_distance = distance;
        }
    }
    user_put(user);
    return best;
}
