// Where a Redis is: every part is taken, what is wrong is said without the password.
#include "tests/unit.h"
#include "tools/kv/redis_url.h"
#include <errno.h>
#include <string.h>

static void test_url_parts_are_taken(void **state)
{
    static const struct {
        const char *url, *host, *path, *user, *password;
        unsigned port, db;
    } cases[] = {
        { "redis://h", "h", "", "", "", 6379, 0 },
        { "redis://10.0.0.1:7000/3", "10.0.0.1", "", "", "", 7000, 3 },
        { "redis://[::1]:7/0", "::1", "", "", "", 7, 0 },
        { "redis://[::1]", "::1", "", "", "", 6379, 0 },
        { "redis://:p%20%41@h/", "h", "", "", "p A", 6379, 0 },
        { "redis://ada:a@b/c:d@h:1/2", "h", "", "ada", "a@b/c:d", 1, 2 },
        { "unix:///run/redis.sock", "", "/run/redis.sock", "", "", 0, 0 },
        { "unix://u:p@/run/redis.sock?db=4", "", "/run/redis.sock", "u", "p", 0, 4 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct redis_url url;
        struct err err = { 0 };
        if (redis_url_parse(cases[i].url, &url, &err) < 0) {
            fail_msg("%s: %s", cases[i].url, err.msg);
        }
        assert_string_equal(url.host, cases[i].host);
        assert_string_equal(url.path, cases[i].path);
        assert_string_equal(url.user, cases[i].user);
        assert_string_equal(url.password, cases[i].password);
        assert_int_equal(url.port, cases[i].port);
        assert_int_equal(url.db, cases[i].db);
    }
}

static void test_url_of_nonsense_is_refused(void **state)
{
    static const char *const urls[] = {
        "",
        "redis:",
        "http://h",
        "rediss://h",
        "redis://",
        "redis://:secret@",

        "redis://h:x",
        "redis://h:65536",
        "redis://h/-1",
        "redis://h/x",
        "redis://u@h",
        "redis://:@h",
        "redis://:%zz@h",
        "redis://:secret%0@h",
        "redis://:secret%00@h",
        "redis://[::1",
        "redis://[::1]x",
        "unix://",
        "unix://rel",
        "unix:///",
        "unix:///s?db=x",
        "unix:///s?x=secret",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        struct redis_url url;
        struct err err = { 0 };
        if (redis_url_parse(urls[i], &url, &err) != -EINVAL || err.msg[0] == 0 || strstr(err.msg, "secret")) {
            fail_msg("%s: %s", urls[i], err.msg);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_url_parts_are_taken),
        cmocka_unit_test(test_url_of_nonsense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
