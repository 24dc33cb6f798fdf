#include "tools/bridge/address.h"
#include <string.h>

#define PORT_MAX 65535

bool address_split(struct str text, struct str *ret_host, unsigned *ret_port)
{
    const char *colon = text.len > 0 ? memrchr(text.ptr, ':', text.len) : NULL;
    int64_t port;
    if (!colon) {
        return false;
    }
    struct str host = str_take(text, (size_t)(colon - text.ptr));
    if (str_parse_i64(str_skip(text, host.len + 1), &port) < 0 || port < 0 || port > PORT_MAX) {
        return false;
    }
    bool is_bracketed = host.len >= 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']';
    *ret_host = is_bracketed ? str_take(str_skip(host, 1), host.len - 2) : host;
    *ret_port = (unsigned)port;
    return ret_host->len < ADDRESS_HOST_MAX;
}

static bool has_host_and_port(struct str text)
{
    struct str host;
    unsigned port;
    return address_split(text, &host, &port) && host.len > 0 && port > 0 && !memchr(host.ptr, '/', host.len);
}

static bool skip_scheme(struct str *text, struct str scheme)
{
    bool is_there = str_starts_with(*text, scheme);
    *text = is_there ? str_skip(*text, scheme.len) : *text;
    return is_there;
}

bool address_is_peer(struct str text)
{
    if (!skip_scheme(&text, STR("http://"))) {
        skip_scheme(&text, STR("https://"));
    }
    return has_host_and_port(str_ends_with(text, STR("/")) ? str_take(text, text.len - 1) : text);
}

bool address_is_zmq(struct str text)
{
    if (skip_scheme(&text, STR("tcp://"))) {
        return has_host_and_port(text);
    }
    return (skip_scheme(&text, STR("ipc://")) || skip_scheme(&text, STR("inproc://"))) && text.len > 0;
}
