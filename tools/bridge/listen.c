#include "tools/bridge/listen.h"
#include "engine/base/option.h"
#include "tools/bridge/address.h"
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 1024

static int fail(struct err *err, const char *address, int code)
{
    return err_set(err, code, "--listen %s: %s", address, strerror(-code));
}

// Left over by a bridge that was killed?
static bool is_abandoned(const struct sockaddr_un *name)
{
    struct stat st;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool is_socket = lstat(name->sun_path, &st) == 0 && S_ISSOCK(st.st_mode);
    bool is_dead =
        is_socket && fd >= 0 && connect(fd, (const struct sockaddr *)name, sizeof(*name)) < 0 && errno == ECONNREFUSED;
    if (fd >= 0) {
        close(fd);
    }
    return is_dead;
}

static bool is_unix(const char *address)
{
    return strncmp(address, "unix:", strlen("unix:")) == 0;
}

int listen_check(const char *address, struct err *err)
{
    const size_t path_max = sizeof(((struct sockaddr_un *)0)->sun_path) - 1;
    size_t len = strlen(address) - (is_unix(address) ? strlen("unix:") : 0);
    struct str host;
    unsigned port;
    if (is_unix(address) && (len == 0 || len > path_max)) {
        return err_set(err, -EINVAL, "--listen %s: a path of 1 to %zu bytes is needed", address, path_max);
    }
    if (!is_unix(address) && !address_split(str_from(address), &host, &port)) {
        return err_set(err, -EINVAL, "--listen %s: HOST:PORT, [IPV6]:PORT, :PORT or unix:PATH is needed",
                       option_shown(address));
    }
    return 0;
}

static int open_unix(const char *address, struct err *err)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    const char *path = address + strlen("unix:");
    memcpy(name.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return fail(err, address, -errno);
    }
    if (is_abandoned(&name)) {
        unlink(path);
    }
    mode_t mask = umask(0117);
    int r = bind(fd, (const struct sockaddr *)&name, sizeof(name)) < 0 || listen(fd, BACKLOG) < 0 ? -errno : 0;
    umask(mask);
    if (r < 0) {
        close(fd);
        return fail(err, address, r);
    }
    return fd;
}

static int open_address(const struct addrinfo *info)
{
    int on = 1, off = 0;
    int fd = socket(info->ai_family, info->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, info->ai_protocol);
    if (fd < 0) {
        return -errno;
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (info->ai_family == AF_INET6) {
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    }
    if (bind(fd, info->ai_addr, info->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0) {
        int r = -errno;
        close(fd);
        return r;
    }
    return fd;
}

static int open_tcp(const char *address, struct err *err)
{
    char host[ADDRESS_HOST_MAX], service[8];
    struct str name;
    unsigned port;
    address_split(str_from(address), &name, &port); // it was checked
    snprintf(host, sizeof(host), "%.*s", STR_ARG(name));
    snprintf(service, sizeof(service), "%u", port);
    struct addrinfo hints = { .ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM }, *found = NULL;
    int r = getaddrinfo(host[0] ? host : NULL, service, &hints, &found);
    if (r != 0) {
        return err_set(err, -EINVAL, "--listen %s: %s", address, gai_strerror(r));
    }
    int fd = -EADDRNOTAVAIL;
    for (int family = 0; family < 2 && fd < 0;
         family++) { // :PORT: both families on one IPv6 socket, where there is IPv6
        for (struct addrinfo *info = found; info && fd < 0; info = info->ai_next) {
            bool is_first = host[0] || (info->ai_family == AF_INET6) == (family == 0);
            fd = is_first ? open_address(info) : fd;
        }
    }
    freeaddrinfo(found);
    return fd < 0 ? fail(err, address, fd) : fd;
}

int listen_open(const char *address, struct err *err)
{
    int r = listen_check(address, err);
    return r < 0 ? r : is_unix(address) ? open_unix(address, err) : open_tcp(address, err);
}

void listen_remove(const char *address)
{
    if (is_unix(address)) {
        unlink(address + strlen("unix:"));
    }
}
