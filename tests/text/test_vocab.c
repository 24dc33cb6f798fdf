// Strings by id and ids by string: keys of every length around the eight bytes that a slot holds, near misses, absent
// ids; and the byte-level alphabet, which is a bijection.
#include "engine/base/utf8.h"
#include "engine/text/byte_level.h"
#include "engine/text/vocab.h"
#include "tests/unit.h"

#include <errno.h>
#include <string.h>

#define N_KEYS 500

// Key i: i as digits, then filler up to a length of i modulo 30 or so; the keys differ in their first bytes or only in
// the last.
static struct str make_key(char *buf, int i)
{
    int n = i % 2 ? snprintf(buf, 64, "%0*d", 1 + i % 29 + 3, i)
                  : snprintf(buf, 64, "%d%.*s", i, i % 23, "abcdefghijklmnopqrstuvwxyz");
    return (struct str){ buf, (size_t)n };
}

static void test_vocab_find_every_key_and_no_other(void **state)
{
    (void)state;
    struct vocab_table table;
    struct vocab_map map;
    uint32_t same[2];
    char buf[80];
    assert_int_equal(vocab_table_init(&table, 3 * N_KEYS), 0);
    for (int i = 0; i < N_KEYS; i++) {
        assert_int_equal(vocab_table_set(&table, (uint32_t)(3 * i), make_key(buf, i)), 0);
    }
    assert_int_equal(vocab_map_init(&map, &table, same), 0);
    for (int i = 0; i < N_KEYS; i++) {
        struct str key = make_key(buf, i);
        assert_int_equal(vocab_map_find(&map, key), 3 * i);
        assert_int_equal(vocab_map_find_prepared(&map, key, vocab_map_prepare(&map, key)), 3 * i);
        assert_true(str_eq(vocab_table_get(&table, 3 * i), key));
        assert_false(vocab_table_has(&table, 3 * i + 1));
        buf[key.len] = '!';
        assert_int_equal(vocab_map_find(&map, (struct str){ buf, key.len + 1 }), -1);
        buf[key.len - 1] = '\0';
        assert_int_equal(vocab_map_find(&map, key), -1);
    }
    assert_int_equal(vocab_map_find(&map, STR("")), -1);
    assert_int_equal(vocab_table_get(&table, -1).len, 0);
    assert_false(vocab_table_has(&table, 3 * N_KEYS));
    vocab_map_deinit(&map);
    vocab_table_deinit(&table);
}

static void test_vocab_same_key_twice_refused(void **state)
{
    (void)state;
    struct vocab_table table;
    struct vocab_map map;
    uint32_t same[2] = { 0 };
    assert_int_equal(vocab_table_init(&table, 10), 0);
    assert_int_equal(vocab_table_set(&table, 4, STR("a long enough key")), 0);
    assert_int_equal(vocab_table_set(&table, 7, STR("a long enough key")), 0);
    assert_int_equal(vocab_map_init(&map, &table, same), -EEXIST);
    assert_int_equal(same[0], 4);
    assert_int_equal(same[1], 7);
    vocab_map_deinit(&map);
    vocab_table_deinit(&table);
}

static void test_byte_level_every_byte_there_and_back(void **state)
{
    (void)state;
    struct strbuf written;
    char all[256], back[512];
    strbuf_init(&written, 0);
    for (int i = 0; i < 256; i++) {
        all[i] = (char)i;
        assert_int_equal(byte_level_byte(byte_level_codepoint((uint8_t)i)), i);
    }
    assert_int_equal(byte_level_append_written(&written, (struct str){ all, 256 }), 0);
    assert_int_equal(utf8_valid_len(strbuf_str(&written)), written.len);
    assert_int_equal(byte_level_read(strbuf_str(&written), back), 256);
    assert_memory_equal(back, all, 256);
    assert_int_equal(byte_level_codepoint(' '), 0x120);
    assert_int_equal(byte_level_byte(' '), -1);
    assert_int_equal(byte_level_byte(0x144), -1);
    assert_int_equal(byte_level_read(STR("a b"), back), -1);
    strbuf_deinit(&written);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vocab_find_every_key_and_no_other),
        cmocka_unit_test(test_vocab_same_key_twice_refused),
        cmocka_unit_test(test_byte_level_every_byte_there_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
