// Who may use the bridge: keys from a file, each with the Unix user on whose behalf files of the mounts are opened.
//
//   # comment
//   HASH USER          HASH: SHA-256 of the key, 64 hexadecimal digits (tokfs-bridge --hash-key)
//   HASH -             USER -: the bridge's own user
#ifndef TOKFS_BRIDGE_ACCESS_H
#define TOKFS_BRIDGE_ACCESS_H

#include "engine/base/err.h"
#include "engine/base/loop.h"
#include "engine/base/str.h"

struct access;

struct access_user {
    const char *name;     // "-": the bridge's own
    unsigned personality; // for loop_open
    unsigned uid;
};

int access_new(struct loop *loop, struct access **ret);
void access_free(struct access *access);
// Reads the file, all of it or nothing: on an error (file, line and value named) the keys stay as they were.
int access_load(struct access *access, const char *path, struct err *err);
// Whose key this is, or NULL. Takes as long whichever key is right, or none. Valid until the next load.
const struct access_user *access_find(const struct access *access, struct str key);
// SHA-256 of a key as 64 hexadecimal digits.
void access_hash(struct str key, char ret[65]);

#endif
