// Stop strings: found at their earliest place, held back only while they may still come.
#include "engine/serve/stop.h"

#include "tests/unit.h"
#include <string.h>

static const struct str STOPS[] = { { "\n\n", 2 }, { "END", 3 }, { "Ende\xC3\xA4", 6 } };

static void test_stop_find_gives_the_earliest(void **state)
{
    (void)state;
    struct str found = { 0 };
    assert_int_equal(stop_find(STOPS, 3, STR("a END \n\n"), &found), 2);
    assert_true(str_eq(found, STR("END")));
    assert_int_equal(stop_find(STOPS, 3, STR("\n\nEND"), &found), 0);
    assert_int_equal(stop_find(STOPS, 3, STR("EN D\n \n"), &found), -1);
    assert_int_equal(stop_find(STOPS, 0, STR("END"), &found), -1);
    assert_int_equal(stop_find(STOPS, 3, STR(""), &found), -1);
}

static void test_stop_held_is_the_longest_beginning(void **state)
{
    (void)state;
    assert_int_equal(stop_held_len(STOPS, 3, STR("abc")), 0);
    assert_int_equal(stop_held_len(STOPS, 3, STR("abc\n")), 1);
    assert_int_equal(stop_held_len(STOPS, 3, STR("abcE")), 1);
    assert_int_equal(stop_held_len(STOPS, 3, STR("abcEN")), 2);
    assert_int_equal(stop_held_len(STOPS, 3, STR("Ende")), 4);
    assert_int_equal(stop_held_len(STOPS, 3, STR("EEn")), 2);
    assert_int_equal(stop_held_len(STOPS, 3, STR("Enx")), 0);
    assert_int_equal(stop_held_len(STOPS, 0, STR("EN")), 0);
}

// Whatever the borders: what is emitted is what stands before the stop string, and nothing is held longer than it must
// be.
static void test_stop_every_split_emits_the_same(void **state)
{
    (void)state;
    const struct str text = STR("aEbEN\nc ENEND tail");
    for (size_t step = 1; step <= text.len; step++) {
        char out[64];
        size_t n_out = 0, begin = 0;
        for (size_t end = step < text.len ? step : text.len; begin < text.len; end += step) {
            end = end < text.len ? end : text.len;
            struct str pending = { text.ptr + begin, end - begin };
            struct str found;
            ptrdiff_t at = stop_find(STOPS, 3, pending, &found);
            size_t n_ready = at >= 0 ? (size_t)at : pending.len - stop_held_len(STOPS, 3, pending);
            memcpy(out + n_out, pending.ptr, n_ready);
            n_out += n_ready;
            begin += n_ready;
            if (at >= 0) {
                break;
            }
        }
        assert_int_equal(n_out, 10);
        assert_memory_equal(out, "aEbEN\nc EN", 10);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stop_find_gives_the_earliest),
        cmocka_unit_test(test_stop_held_is_the_longest_beginning),
        cmocka_unit_test(test_stop_every_split_emits_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
