// Standard error is pointed at a datagram socket pair, so that each write() arrives as one message.
#include "engine/base/log.h"
#include "tests/unit.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct capture {
    int saved_stderr;
    int fds[2];
    char line[4096];
};

static void capture_begin(struct capture *c)
{
    c->saved_stderr = dup(STDERR_FILENO);
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, c->fds), 0);
    assert_true(dup2(c->fds[1], STDERR_FILENO) >= 0);
}

// The next message, "" when there is none.
static const char *capture_next(struct capture *c)
{
    ssize_t n = read(c->fds[0], c->line, sizeof(c->line) - 1);
    c->line[n > 0 ? n : 0] = '\0';
    return c->line;
}

static void capture_end(struct capture *c)
{
    dup2(c->saved_stderr, STDERR_FILENO);
    close(c->saved_stderr);
    close(c->fds[0]);
    close(c->fds[1]);
}

static void test_log_stderr_writes_one_line_per_message(void **state)
{
    (void)state;
    struct capture c;
    capture_begin(&c);
    log_setup("tokfs", LOG_LEVEL_INFO, LOG_TARGET_STDERR);
    errno = EBUSY;
    log_warn("queue %d of %d", 3, 4);
    int kept_errno = errno;
    log_info("two\nlines \x1b[1m");
    log_debug("not shown");
    char first[64], second[64];
    strcpy(first, capture_next(&c));
    strcpy(second, capture_next(&c));
    const char *third = capture_next(&c);
    capture_end(&c);
    assert_string_equal(first, "tokfs: warning: queue 3 of 4\n");
    assert_string_equal(second, "tokfs: info: two?lines ?[1m\n");
    assert_string_equal(third, "");
    assert_int_equal(kept_errno, EBUSY);
}

static void test_log_long_line_is_cut_and_ends_in_newline(void **state)
{
    (void)state;
    struct capture c;
    char text[5000];
    for (size_t i = 0; i + 3 < sizeof(text); i += 3) {
        memcpy(text + i, "\xe2\x82\xac", 4);
    }
    capture_begin(&c);
    log_error("%s", text);
    const char *line = capture_next(&c);
    size_t len = strlen(line);
    capture_end(&c);
    assert_in_range(len, 2000, 2048);
    assert_memory_equal(line + len - 4, "\xe2\x82\xac\n", 4);
}

static void test_log_syslog_leaves_stderr_alone(void **state)
{
    (void)state;
    struct capture c;
    capture_begin(&c);
    log_setup("tokfs-test", LOG_LEVEL_ERROR, LOG_TARGET_SYSLOG);
    log_error("to the journal");
    log_setup("tokfs-test", LOG_LEVEL_WARN, LOG_TARGET_STDERR);
    log_error("back");
    const char *line = capture_next(&c);
    capture_end(&c);
    assert_string_equal(line, "tokfs-test: error: back\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log_stderr_writes_one_line_per_message),
        cmocka_unit_test(test_log_long_line_is_cut_and_ends_in_newline),
        cmocka_unit_test(test_log_syslog_leaves_stderr_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
