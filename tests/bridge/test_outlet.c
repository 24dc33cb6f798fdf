// Pieces of a stream to a socket, as chunks.
#include "tests/unit.h"
#include "tools/bridge/outlet.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct pair {
    int ours, clients;
};

static struct pair make_unix(void)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    return (struct pair){ fds[0], fds[1] };
}

static struct pair make_tcp(void)
{
    struct sockaddr_in name = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof(name);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
        ours = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&name, sizeof(name)), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&name, &size), 0);
    assert_int_equal(connect(ours, (struct sockaddr *)&name, sizeof(name)), 0);
    int clients = accept(listener, NULL, NULL);
    assert_true(clients >= 0);
    close(listener);
    return (struct pair){ ours, clients };
}

static void close_pair(struct pair pair)
{
    close(pair.ours);
    close(pair.clients);
}

static void read_exactly(int fd, const char *wanted)
{
    char bytes[256] = { 0 };
    size_t n = strlen(wanted);
    assert_true(n < sizeof(bytes));
    assert_int_equal(recv(fd, bytes, n, MSG_WAITALL), (ssize_t)n);
    assert_string_equal(bytes, wanted);
}

static void sends_chunks(struct pair pair)
{
    struct outlet outlet;
    outlet_init(&outlet, pair.ours);
    assert_true(outlet_send(&outlet, STR("data: {\"n\":1}\n\n")));
    assert_true(outlet.is_between_events);
    assert_true(outlet_send(&outlet, STR("data: {\"text\":\"half of an")));
    assert_false(outlet.is_between_events);
    assert_int_equal(outlet.n_sent, 15 + 25);
    read_exactly(pair.clients, "f\r\ndata: {\"n\":1}\n\n\r\n19\r\ndata: {\"text\":\"half of an\r\n");
    assert_false(outlet_send(&outlet, STR(" event\"}\n\ndata: [DONE]\n\n"))); // the library's
    assert_int_equal(outlet.n_sent, 15 + 25);
    close_pair(pair);
}

static void test_sends_chunks_to_a_unix_socket(void **state)
{
    (void)state;
    sends_chunks(make_unix());
}

static void test_sends_chunks_over_tcp(void **state)
{
    (void)state;
    sends_chunks(make_tcp());
}

// As many whole chunks as were said to be sent, and nothing of another.
static void stops_when_full(struct pair pair, int buffer_bytes)
{
    static char piece[1024], bytes[1u << 16];
    struct outlet outlet;
    size_t n_read = 0, n_pieces = 0;
    memset(piece, 'x', sizeof(piece));
    assert_int_equal(setsockopt(pair.ours, SOL_SOCKET, SO_SNDBUF, &buffer_bytes, sizeof(buffer_bytes)), 0);
    outlet_init(&outlet, pair.ours);
    while (outlet_send(&outlet, (struct str){ piece, sizeof(piece) })) {
        n_pieces++;
    }
    assert_in_range(n_pieces, 1, 100000);
    assert_int_equal(outlet.n_sent, n_pieces * sizeof(piece));
    close(pair.ours);
    for (ssize_t n; (n = read(pair.clients, bytes, sizeof(bytes))) > 0;) {
        n_read += (size_t)n;
    }
    assert_int_equal(n_read, n_pieces * (sizeof(piece) + strlen("400\r\n\r\n")));
    close(pair.clients);
}

static void test_takes_nothing_when_the_client_does_not_read(void **state)
{
    (void)state;
    stops_when_full(make_unix(), 16384);
    stops_when_full(make_tcp(), 16384);
}

static void test_takes_no_long_piece_and_none_when_the_client_has_left(void **state)
{
    static char piece[4097];
    struct pair pair = make_unix();
    struct outlet outlet;
    (void)state;
    outlet_init(&outlet, pair.ours);
    assert_false(outlet_send(&outlet, (struct str){ piece, sizeof(piece) }));
    close(pair.clients);
    assert_false(outlet_send(&outlet, STR("data: {}\n\n")));
    assert_int_equal(outlet.n_sent, 0);
    close(pair.ours);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sends_chunks_to_a_unix_socket),
        cmocka_unit_test(test_sends_chunks_over_tcp),
        cmocka_unit_test(test_takes_nothing_when_the_client_does_not_read),
        cmocka_unit_test(test_takes_no_long_piece_and_none_when_the_client_has_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
