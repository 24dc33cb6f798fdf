// A chained hash by uid. A user without a reference is forgotten at once, or, where tokens are counted, when his minute
// has passed: looked for whenever a new one comes.
#include "fs/user.h"
#include "engine/base/loop.h"
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#define N_BUCKETS 256

struct users {
    struct user_limits limits;
    uid_t owner;
    uint64_t n_bytes;
    struct user *buckets[N_BUCKETS];
};

// What is said of each limit: what the user has too many of, and the option that sets how many.
static const struct {
    const char *what, *option;
} things[USER_N_THINGS] = {
    [USER_SESSIONS] = { "conversations, all in use", "--user-sessions" },
    [USER_TURNS] = { "turns that wait or run", "--user-turns" },
    [USER_FILES] = { "open files", "--user-files" },
    [USER_PARKED] = { "requests that wait", "--user-files" },
};

int users_new(const struct user_limits *limits, uid_t owner, struct users **ret)
{
    *ret = calloc(1, sizeof(**ret));
    if (!*ret) {
        return -ENOMEM;
    }
    (*ret)->limits = *limits;
    (*ret)->owner = owner;
    return 0;
}

static bool is_free(const struct user *user)
{
    for (size_t i = 0; i < USER_N_THINGS; i++) {
        if (user->n[i] > 0) {
            return false;
        }
    }
    return user->refs == 0 && user->n_bytes == 0 && list_is_empty(&user->sessions);
}

void users_free(struct users *users)
{
    for (size_t i = 0; users && i < N_BUCKETS; i++) {
        while (users->buckets[i]) {
            struct user *user = users->buckets[i];
            assert(is_free(user));
            users->buckets[i] = user->next;
            free(user);
        }
    }
    assert(!users || users->n_bytes == 0);
    free(users);
}

uint64_t users_bytes(const struct users *users)
{
    return users->n_bytes;
}

// ---- who there is --------------------------------------------------------------------------------------------------

static struct user **bucket(struct users *users, uid_t uid)
{
    return &users->buckets[uid % N_BUCKETS];
}

static void refill(struct user *user, uint64_t now)
{
    double limit = (double)user->users->limits.tokens_per_minute;
    double more = now > user->tokens_ns ? limit * (double)(now - user->tokens_ns) / 60e9 : 0;
    user->n_tokens = user->n_tokens + more < limit ? user->n_tokens + more : limit;
    user->tokens_ns = now > user->tokens_ns ? now : user->tokens_ns;
}

static bool has_full_minute(struct user *user, uint64_t now)
{
    refill(user, now);
    return user->n_tokens >= (double)user->users->limits.tokens_per_minute;
}

static void sweep(struct users *users)
{
    uint64_t now = clock_monotonic_ns();
    for (size_t i = 0; i < N_BUCKETS; i++) {
        struct user **at = &users->buckets[i];
        while (*at) {
            struct user *user = *at;
            if (user->refs == 0 && has_full_minute(user, now)) {
                *at = user->next;
                free(user);
            } else {
                at = &user->next;
            }
        }
    }
}

struct user *user_get(struct users *users, uid_t uid)
{
    for (struct user *user = *bucket(users, uid); user; user = user->next) {
        if (user->uid == uid) {
            return user_ref(user);
        }
    }
    sweep(users);
    struct user *user = calloc(1, sizeof(*user));
    if (user) {
        struct user **head = bucket(users, uid);
        *user =
            (struct user){ .users = users, .next = *head, .uid = uid, .refs = 1, .tokens_ns = clock_monotonic_ns() };
        user->n_tokens = (double)users->limits.tokens_per_minute;
        list_init(&user->sessions);
        *head = user;
    }
    return user;
}

struct user *user_ref(struct user *user)
{
    user->refs++;
    return user;
}

void user_put(struct user *user)
{
    if (!user || --user->refs > 0) {
        return;
    }
    assert(is_free(user));
    if (has_full_minute(user, clock_monotonic_ns())) {
        struct user **at = bucket(user->users, user->uid);
        while (*at != user) {
            at = &(*at)->next;
        }
        *at = user->next;
        free(user);
    }
}

struct user *users_with_most(struct users *users, enum user_thing thing)
{
    struct user *most = NULL;
    for (size_t i = 0; i < N_BUCKETS; i++) {
        for (struct user *user = users->buckets[i]; user; user = user->next) {
            if (user->n[thing] > (most ? most->n[thing] : 0)) {
                most = user;
            }
        }
    }
    return most;
}

// ---- what they have ------------------------------------------------------------------------------------------------

static bool is_owner(const struct user *user)
{
    return user->uid == user->users->owner;
}

bool user_is_at_limit(const struct user *user, enum user_thing thing)
{
    return !is_owner(user) && user->n[thing] >= user->users->limits.n[thing];
}

int user_charge(struct user *user, enum user_thing thing, struct tokfs_error *reason)
{
    if (user_is_at_limit(user, thing)) {
        struct tokfs_error unwanted;
        return reason_set(reason ? reason : &unwanted, -EDQUOT, NULL,
                          "you have %" PRIu32 " %s: the limit of a user (%s)", user->n[thing], things[thing].what,
                          things[thing].option);
    }
    user->n[thing]++;
    return 0;
}

void user_take(struct user *user, enum user_thing thing)
{
    user->n[thing]++;
}

void user_uncharge(struct user *user, enum user_thing thing)
{
    assert(user->n[thing] > 0);
    user->n[thing]--;
}

int user_check_tokens(struct user *user, uint64_t now, struct tokfs_error *reason)
{
    uint64_t limit = user->users->limits.tokens_per_minute;
    if (limit == 0 || is_owner(user)) {
        return 0;
    }
    refill(user, now);
    if (user->n_tokens > 0) {
        return 0;
    }
    double seconds = -user->n_tokens * 60 / (double)limit + 1;
    return reason_set(reason, -EDQUOT, NULL,
                      "the %" PRIu64
                      " tokens that a user has each minute (--user-tokens) are used up: try again in %.0f s",
                      limit, seconds);
}

void user_take_tokens(struct user *user, uint64_t n_tokens, uint64_t now)
{
    if (user->users->limits.tokens_per_minute > 0) {
        refill(user, now);
        user->n_tokens -= (double)n_tokens;
    }
}

// ---- bytes ---------------------------------------------------------------------------------------------------------

void holding_init(struct holding *holding, struct user *user)
{
    *holding = (struct holding){ .user = user ? user_ref(user) : NULL };
}

void holding_deinit(struct holding *holding)
{
    holding_set(holding, 0);
    user_put(holding->user);
    holding->user = NULL;
}

void holding_set(struct holding *holding, uint64_t n_bytes)
{
    if (holding->user) {
        holding->user->n_bytes += n_bytes - holding->n_bytes;
        holding->user->users->n_bytes += n_bytes - holding->n_bytes;
        holding->n_bytes = n_bytes;
    }
}

int holding_grow(struct holding *holding, uint64_t n_bytes, struct tokfs_error *reason)
{
    const struct user *user = holding->user;
    if (!user || n_bytes <= holding->n_bytes) {
        return 0;
    }
    const struct users *users = user->users;
    uint64_t more = n_bytes - holding->n_bytes;
    if (!is_owner(user) && user->n_bytes + more > users->limits.bytes) {
        return reason_set(reason, -EDQUOT, NULL,
                          "your conversations and requests would take more than the %" PRIu64
                          " bytes of a user (--user-bytes)",
                          users->limits.bytes);
    }
    if (users->n_bytes + more > users->limits.bytes_total) {
        return reason_set(reason, -EAGAIN, NULL,
                          "the conversations and requests of all users take the %" PRIu64
                          " bytes that there are (--max-bytes): try again later",
                          users->limits.bytes_total);
    }
    holding_set(holding, n_bytes);
    return 0;
}
