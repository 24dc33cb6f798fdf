// 128 bits from the kernel's generator, which never blocks once the system is up.
#include "fs/random_id.h"
#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

int random_id_write(const char *prefix, char *ret, size_t size)
{
    uint64_t words[2];
    assert(strlen(prefix) + RANDOM_ID_LEN < size);
    if (getrandom(words, sizeof(words), 0) != sizeof(words)) {
        return errno ? -errno : -EIO;
    }
    snprintf(ret, size, "%s%016llx%016llx", prefix, (unsigned long long)words[0], (unsigned long long)words[1]);
    return 0;
}
