// What is given is sent once and whole, whoever sends it; what is not for the crew is sent at once.
#include "fs/reply_crew.h"
#include "tests/unit.h"
#include <linux/fuse.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>

#define N_REPLIES 5000

struct message {
    struct fuse_out_header head;
    char bytes[2000];
};

// Each message is a packet, as it is for /dev/fuse.
static int ends[2];
static struct reply_crew *crew;

static int set_up(void **state)
{
    (void)state;
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0 ? reply_crew_new(ends[0], &crew) : -1;
}

static int tear_down(void **state)
{
    (void)state;
    reply_crew_free(crew);
    close(ends[0]);
    close(ends[1]);
    return 0;
}

static size_t length_of(uint64_t unique)
{
    return (size_t)(unique * 37 % 1500);
}

static ssize_t give(uint64_t unique, const char *bytes, size_t len)
{
    struct fuse_out_header head = { .len = (uint32_t)(sizeof(head) + len), .unique = unique };
    struct iovec iov[] = { { &head, sizeof(head) }, { (char *)(uintptr_t)bytes, len } };
    return reply_crew_writev(crew, iov, 2);
}

static bool is_whole(const struct message *message, size_t n)
{
    uint64_t unique = message->head.unique;
    bool is_good = n >= sizeof(message->head) && n == message->head.len && unique >= 1 && unique <= N_REPLIES &&
                   n == sizeof(message->head) + length_of(unique);
    for (size_t i = 0; is_good && i < length_of(unique); i++) {
        is_good = message->bytes[i] == (char)unique;
    }
    return is_good;
}

static void *count_replies(void *arg)
{
    unsigned *n_seen = arg; // [N_REPLIES + 1]; [0]: not whole
    struct message message;
    for (int i = 0; i < N_REPLIES; i++) {
        ssize_t n = read(ends[1], &message, sizeof(message));
        n_seen[n > 0 && is_whole(&message, (size_t)n) ? message.head.unique : 0]++;
    }
    return NULL;
}

static void test_reply_crew_given_is_sent_once(void **state)
{
    static unsigned n_seen[N_REPLIES + 1];
    char bytes[1500];
    pthread_t reader;
    (void)state;
    assert_int_equal(pthread_create(&reader, NULL, count_replies, n_seen), 0);
    for (uint64_t unique = 1; unique <= N_REPLIES; unique++) {
        memset(bytes, (char)unique, sizeof(bytes));
        assert_int_equal(give(unique, bytes, length_of(unique)), sizeof(struct fuse_out_header) + length_of(unique));
        if (unique % 40 == 0) {
            reply_crew_help(crew, unique % 80 == 0 ? 0 : 8);
        }
    }
    reply_crew_help(crew, 0);
    pthread_join(reader, NULL);
    for (int i = 0; i <= N_REPLIES; i++) {
        assert_int_equal(n_seen[i], i > 0);
    }
}

static void test_reply_crew_notification_is_sent_at_once(void **state)
{
    struct message message;
    (void)state;
    assert_int_equal(give(0, "size", 4), sizeof(message.head) + 4);
    assert_int_equal(recv(ends[1], &message, sizeof(message), MSG_DONTWAIT), sizeof(message.head) + 4);
    assert_memory_equal(message.bytes, "size", 4);
}

static void test_reply_crew_end_sends_what_waits(void **state)
{
    struct message message;
    (void)state;
    assert_true(give(7, "a", 1) > 0);
    reply_crew_free(crew);
    crew = NULL;
    assert_int_equal(recv(ends[1], &message, sizeof(message), MSG_DONTWAIT), sizeof(message.head) + 1);
    assert_int_equal(message.head.unique, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_reply_crew_given_is_sent_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_reply_crew_notification_is_sent_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_reply_crew_end_sends_what_waits, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
