// Where a Redis is, as its clients write it:
//
//   redis://[[USER]:PASSWORD@]HOST[:PORT][/DB]     HOST: a name, an IPv4 address or [IPv6]
//   unix://[[USER]:PASSWORD@]/PATH[?db=DB]
//
// USER and PASSWORD are percent-decoded.
#ifndef TOKFS_KV_REDIS_URL_H
#define TOKFS_KV_REDIS_URL_H

#include "engine/base/err.h"
#include <stdint.h>

struct redis_url {
    char host[256]; // empty: a Unix socket
    char path[108];
    char user[128], password[512]; // empty: none
    uint16_t port;
    unsigned db;
};

// -EINVAL with what is wrong; the password is never in the message.
int redis_url_parse(const char *url, struct redis_url *ret, struct err *err);

#endif
