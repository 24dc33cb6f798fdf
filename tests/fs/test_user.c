// What users may have: limits of each and of all, the minute's tokens, and that nobody is remembered for nothing.
#include "engine/base/loop.h"
#include "fs/user.h"
#include "tests/unit.h"
#include <errno.h>
#include <string.h>

#define OWNER 0
#define ALICE 1000
#define BOB   1256 // in the same bucket

static struct users *users;

static int set_up(void **state)
{
    static const struct user_limits limits = {
        .n = { 2, 2, 2, 2 }, .bytes = 1000, .bytes_total = 2500, .tokens_per_minute = 600
    };
    (void)state;
    return users_new(&limits, OWNER, &users);
}

static int tear_down(void **state)
{
    (void)state;
    users_free(users); // asserts that nothing is left
    return 0;
}

static void test_user_has_so_many_and_the_owner_any_number(void **state)
{
    struct tokfs_error reason = { 0 };
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct user *user = user_get(users, i == 0 ? ALICE : OWNER);
        assert_int_equal(user_charge(user, USER_TURNS, &reason), 0);
        assert_int_equal(user_charge(user, USER_TURNS, &reason), 0);
        assert_int_equal(user_charge(user, USER_TURNS, &reason), i == 0 ? -EDQUOT : 0);
        assert_int_equal(user_charge(user, USER_FILES, NULL), 0); // counted apart
        assert_ptr_equal(users_with_most(users, USER_TURNS), user);
        user_uncharge(user, USER_FILES);
        while (user->n[USER_TURNS] > 0) {
            user_uncharge(user, USER_TURNS);
        }
        user_put(user);
    }
    assert_non_null(strstr(reason.msg, "2 turns"));
    assert_non_null(strstr(reason.msg, "--user-turns"));
    assert_null(users_with_most(users, USER_TURNS));
}

static void test_user_bytes_are_bounded_for_each_and_for_all(void **state)
{
    struct tokfs_error reason = { 0 };
    struct holding a, b, owner;
    (void)state;
    struct user *alice = user_get(users, ALICE), *bob = user_get(users, BOB), *root = user_get(users, OWNER);
    assert_ptr_not_equal(alice, bob);
    holding_init(&a, alice);
    holding_init(&b, bob);
    holding_init(&owner, root);
    assert_int_equal(holding_grow(&a, 900, &reason), 0);
    assert_int_equal(holding_grow(&a, 1001, &reason), -EDQUOT);
    assert_non_null(strstr(reason.msg, "--user-bytes"));
    assert_int_equal(a.n_bytes, 900);
    assert_int_equal(holding_grow(&b, 600, &reason), 0);
    assert_int_equal(holding_grow(&owner, 1001, &reason), -EAGAIN);
    assert_non_null(strstr(reason.msg, "--max-bytes"));
    assert_int_equal(holding_grow(&owner, 1000, &reason), 0);
    holding_set(&a, 5000); // it is so
    assert_int_equal(users_bytes(users), 6600);
    assert_int_equal(holding_grow(&a, 4000, &reason), 0); // no more than it was
    holding_set(&a, 100);
    assert_int_equal(holding_grow(&a, 900, &reason), 0);
    holding_deinit(&a);
    holding_deinit(&b);
    holding_deinit(&owner);
    assert_int_equal(users_bytes(users), 0);
    user_put(alice);
    user_put(bob);
    user_put(root);
}

static void test_user_tokens_come_back_with_time(void **state)
{
    const uint64_t second = 1000000000u;
    struct tokfs_error reason = { 0 };
    (void)state;
    struct user *user = user_get(users, ALICE), *owner = user_get(users, OWNER);
    uint64_t now = clock_monotonic_ns() + second;
    assert_int_equal(user_check_tokens(user, now, &reason), 0);
    user_take_tokens(user, 599, now);
    assert_int_equal(user_check_tokens(user, now, &reason), 0);
    user_take_tokens(user, 101, now); // 100 more than there were: ten seconds
    assert_int_equal(user_check_tokens(user, now + 9 * second, &reason), -EDQUOT);
    assert_non_null(strstr(reason.msg, "--user-tokens"));
    assert_int_equal(user_check_tokens(user, now + 11 * second, &reason), 0);
    user_put(user);
    assert_ptr_equal(user_get(users, ALICE), user); // remembered: his minute has not passed
    user_take_tokens(owner, 10000, now);
    assert_int_equal(user_check_tokens(owner, now, &reason), 0);
    user_put(user);
    user_put(owner);
}

static void test_user_without_a_debt_is_forgotten(void **state)
{
    (void)state;
    for (uid_t uid = 1; uid < 1000; uid++) {
        struct user *user = user_get(users, uid);
        assert_ptr_equal(user_get(users, uid), user);
        user_put(user);
        user_put(user);
    }
    assert_null(users_with_most(users, USER_FILES));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_user_has_so_many_and_the_owner_any_number, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_user_bytes_are_bounded_for_each_and_for_all, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_user_tokens_come_back_with_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_user_without_a_debt_is_forgotten, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
