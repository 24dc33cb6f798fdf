// Names of blocks in other systems: the worked examples of their makers, and what Python's cbor2, hashlib and xxhash
// make of numbers and texts of every length that CBOR tells apart.
#include "tests/unit.h"
#include "tools/kv/foreign_hash.h"
#include <string.h>

static const struct str no_seed = STR(""), alice = STR("Alice");

static void from_hex(const char *digits, uint8_t ret[32])
{
    for (size_t i = 0; i < 32; i++) {
        unsigned byte;
        sscanf(digits + 2 * i, "%2x", &byte);
        ret[i] = (uint8_t)byte;
    }
}

static const uint32_t first16[] = { 2082, 1113, 2142, 374,   264, 4948, 19128, 323,
                                    7203, 429,  374,  66351, 938, 315,  11198, 323 };
static const uint32_t second16[] = { 59415, 678, 90505, 11,   54263, 533,  7586, 315,
                                     28922, 13,  1527,  1113, 2142,  6738, 369,  279 };

static void test_vllm_worked_example(void **state)
{
    struct vllm_hash none, first, second, salted;
    uint8_t wanted[32];
    (void)state;
    assert_int_equal(vllm_hash_root(STR("42"), &none), 0);
    from_hex("9fa6eb003f14425eb9c8e6baacfbcaab26257357b829c7bfa74ffcc4f31c1780", wanted);
    assert_memory_equal(none.bytes, wanted, 32);
    struct block_text block = { .tokens = first16, .n_tokens = 16 };
    assert_int_equal(vllm_hash_block(&none, &block, &first), 0);
    assert_true(vllm_hash_wire(&first) == UINT64_C(17705339885301241772));
    assert_int_equal(vllm_hash_block(&first, &(struct block_text){ .tokens = second16, .n_tokens = 16 }, &second), 0);
    assert_true(vllm_hash_wire(&second) == UINT64_C(13360521540053240825));
    block.extras = &alice;
    block.n_extras = 1;
    assert_int_equal(vllm_hash_block(&none, &block, &salted), 0);
    assert_true(vllm_hash_wire(&salted) == UINT64_C(9643097150530800701));
}

static void count_from(uint32_t first, uint32_t *ret)
{
    for (uint32_t i = 0; i < 16; i++) {
        ret[i] = first + i;
    }
}

static void test_llmd_worked_example(void **state)
{
    uint32_t tokens[16];
    struct block_text block = { .tokens = tokens, .n_tokens = 16 };
    uint64_t root, first, second;
    (void)state;
    assert_int_equal(request_key_root(REQUEST_KEY_FNV, no_seed, STR("test-model"), &root), 0);
    assert_true(root == UINT64_C(17515353698173365712));
    count_from(1, tokens);
    assert_int_equal(request_key_block(REQUEST_KEY_FNV, root, &block, &first), 0);
    assert_true(first == UINT64_C(9540012594951042066));
    count_from(17, tokens);
    assert_int_equal(request_key_block(REQUEST_KEY_FNV, first, &block, &second), 0);
    assert_true(second == UINT64_C(16921089685996993662));
}

static void test_xxh64_chain_is_over_little_endian_numbers(void **state)
{
    uint32_t tokens[16];
    const struct str extra = STR("Ada");
    struct block_text block = { .tokens = tokens, .n_tokens = 16 };
    uint64_t root, first, second;
    (void)state;
    assert_int_equal(request_key_root(REQUEST_KEY_XXH64, no_seed, STR("test-model"), &root), 0);
    assert_true(root == UINT64_C(11740677134091091083));
    count_from(1, tokens);
    assert_int_equal(request_key_block(REQUEST_KEY_XXH64, root, &block, &first), 0);
    assert_true(first == UINT64_C(17693943810215751158));
    count_from(17, tokens);
    block.extras = &extra;
    block.n_extras = 1;
    assert_int_equal(request_key_block(REQUEST_KEY_XXH64, first, &block, &second), 0);
    assert_true(second == UINT64_C(5469099984471890219));
}

static void test_cbor_of_every_length(void **state)
{
    static const uint32_t tokens[] = { 23, 24, 255, 256, 65535, 65536, UINT32_MAX };
    char many[300];
    const struct str extras[] = { STR("Ada"), { many, sizeof(many) } };
    const struct block_text block = { .tokens = tokens, .n_tokens = 7, .extras = extras, .n_extras = 2 };
    struct vllm_hash none, hash;
    uint64_t key;
    (void)state;
    memset(many, 'x', sizeof(many));
    assert_int_equal(request_key_block(REQUEST_KEY_FNV, 5, &block, &key), 0);
    assert_true(key == UINT64_C(171043872011772941));
    assert_int_equal(vllm_hash_root(STR("42"), &none), 0);
    assert_int_equal(vllm_hash_block(&none, &block, &hash), 0);
    assert_true(vllm_hash_wire(&hash) == UINT64_C(752913696853385314));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vllm_worked_example),
        cmocka_unit_test(test_llmd_worked_example),
        cmocka_unit_test(test_xxh64_chain_is_over_little_endian_numbers),
        cmocka_unit_test(test_cbor_of_every_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
