// Names that cannot be guessed.
#ifndef TOKFS_FS_RANDOM_ID_H
#define TOKFS_FS_RANDOM_ID_H

#include <stddef.h>

#define RANDOM_ID_LEN 32 // hexadecimal digits of 128 random bits

// prefix and RANDOM_ID_LEN digits; `size` must have room for them and a NUL. 0 or -errno of getrandom(2).
int random_id_write(const char *prefix, char *ret, size_t size);

#endif
