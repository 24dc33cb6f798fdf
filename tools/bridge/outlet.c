#include "tools/bridge/outlet.h"
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define PIECE_BYTES_MAX  4096 // with what is not sent yet, less than the smallest buffer that sockets have
#define UNSENT_BYTES_MAX 2048

void outlet_init(struct outlet *outlet, int fd)
{
    int domain = 0;
    socklen_t size = sizeof(domain);
    bool is_known = getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0;
    *outlet = (struct outlet){ .fd = fd, .is_unix = is_known && domain == AF_UNIX };
}

static bool has_room(const struct outlet *outlet)
{
    int n_unsent = 0;
    return outlet->is_unix || (ioctl(outlet->fd, SIOCOUTQ, &n_unsent) == 0 && n_unsent <= UNSENT_BYTES_MAX);
}

// The length in hexadecimal digits, and the end of the line, to the end of `line`: where they begin.
static char *write_length(char line[16], size_t len)
{
    char *at = line + 16;
    *--at = '\n';
    *--at = '\r';
    do {
        *--at = "0123456789abcdef"[len % 16];
    } while (len /= 16);
    return at;
}

bool outlet_send(void *ctx, struct str bytes)
{
    struct outlet *outlet = ctx;
    char line[16];
    bool is_last = str_ends_with(bytes, STR("data: [DONE]\n\n"));
    if (is_last || bytes.len > PIECE_BYTES_MAX || !has_room(outlet)) {
        return false;
    }
    char *head = write_length(line, bytes.len);
    size_t head_len = (size_t)(line + sizeof(line) - head);
    struct iovec parts[] = { { head, head_len }, { (char *)(uintptr_t)bytes.ptr, bytes.len }, { (char *)"\r\n", 2 } };
    struct msghdr msg = { .msg_iov = parts, .msg_iovlen = 3 };
    ssize_t n = sendmsg(outlet->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n <= 0) {
        return false;
    }
    if (n < (ssize_t)(head_len + bytes.len + 2)) { // cannot be mended: who watches the connection sees its end
        shutdown(outlet->fd, SHUT_RDWR);
    }
    outlet->n_sent += bytes.len;
    outlet->is_between_events = str_ends_with(bytes, STR("\n\n"));
    return true;
}
