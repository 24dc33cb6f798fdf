// Users: what each of them makes the daemon hold, and how much that may be.
//
// A user is known while something is charged to him. Everything that grows with what clients do holds a reference of
// its user and is charged where it is made and uncharged where it is freed; all is zero when the mount is freed. The
// owner of the mount is charged like everybody, but only the limits of all users together stop him.
#ifndef TOKFS_FS_USER_H
#define TOKFS_FS_USER_H

#include "fs/list.h"
#include "fs/user_errors.h"
#include <stdint.h>
#include <sys/types.h>

enum user_thing {
    USER_SESSIONS, // that have a name
    USER_TURNS,    // that have not ended
    USER_FILES,    // open, directories too
    USER_PARKED,   // requests that wait
    USER_N_THINGS,
};

struct user_limits {
    uint32_t n[USER_N_THINGS];
    uint64_t bytes;             // of one user
    uint64_t bytes_total;       // of all together, the owner too
    uint64_t tokens_per_minute; // 0: any number
};

struct users;

struct user {
    struct users *users;
    struct user *next; // in its bucket
    uid_t uid;
    unsigned refs;
    uint32_t n[USER_N_THINGS];
    uint64_t n_bytes;
    struct list sessions; // struct session, least recently used first
    double n_tokens;      // left of this minute's; below 0: more was said than was left
    uint64_t tokens_ns;   // CLOCK_MONOTONIC to which n_tokens holds
};

int users_new(const struct user_limits *limits, uid_t owner, struct users **ret);
void users_free(struct users *users); // asserts that nothing is charged; NULL is accepted
uint64_t users_bytes(const struct users *users);

struct user *user_get(struct users *users, uid_t uid); // with a reference; NULL when out of memory
struct user *user_ref(struct user *user);
void user_put(struct user *user); // NULL is accepted

// One more of them, or -EDQUOT with the reason (which may be NULL).
int user_charge(struct user *user, enum user_thing thing, struct tokfs_error *reason);
void user_take(struct user *user,
               enum user_thing thing); // one more, whatever the limits say: what a restart brings back
void user_uncharge(struct user *user, enum user_thing thing);
bool user_is_at_limit(const struct user *user, enum user_thing thing);
// The one who has the most of them; NULL when nobody has any.
struct user *users_with_most(struct users *users, enum user_thing thing);

// -EDQUOT while the tokens of the last minute are used up. What a turn took is known, and told, when it has ended.
int user_check_tokens(struct user *user, uint64_t now_ns, struct tokfs_error *reason);
void user_take_tokens(struct user *user, uint64_t n_tokens, uint64_t now_ns);

// Bytes that something holds for a user.
struct holding {
    struct user *user; // NULL: charged to nobody
    uint64_t n_bytes;
};

void holding_init(struct holding *holding, struct user *user);
void holding_deinit(struct holding *holding);
// As much as it is, whatever the limits say: what comes next is refused.
void holding_set(struct holding *holding, uint64_t n_bytes);
// To so much, if the limits allow more than it was: -EDQUOT of the user, -EAGAIN of all together.
int holding_grow(struct holding *holding, uint64_t n_bytes, struct tokfs_error *reason);

#endif
