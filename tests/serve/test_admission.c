// The order of admission, with plain numbers.
#include "engine/serve/admission.h"

#include "tests/unit.h"

#define SECOND UINT64_C(1000000000)

static struct admission admission;
static const char refs[10000];
static uint64_t n_arrived;

static void begin(const uint32_t *running, size_t n_running)
{
    n_arrived = 0;
    admission_begin(&admission, running, n_running);
}

// The n-th that arrives is refs[n].
static void arrive(int64_t rank, uint32_t tenant)
{
    admission_add(&admission,
                  &(struct admission_candidate){
                      .ref = (void *)&refs[n_arrived], .rank = rank, .tenant = tenant, .arrival = n_arrived });
    n_arrived++;
}

static void expect_order(const size_t *order, size_t n)
{
    assert_int_equal(admission.n, n);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal((const char *)admission.candidates[i].ref - refs, order[i]);
    }
}

#define EXPECT_ORDER(...)                                                                                              \
    expect_order((const size_t[]){ __VA_ARGS__ }, sizeof((const size_t[]){ __VA_ARGS__ }) / sizeof(size_t))

static void test_admission_one_tenant_goes_by_arrival(void **state)
{
    (void)state;
    begin((const uint32_t[]){ 7, 7, 7 }, 3);
    for (int i = 0; i < 4; i++) {
        arrive(0, 7);
    }
    admission_order(&admission);
    EXPECT_ORDER(0, 1, 2, 3);
}

static void test_admission_lower_priority_number_goes_first(void **state)
{
    (void)state;
    begin(NULL, 0);
    arrive(0, 1);
    arrive(5, 1);
    arrive(-3, 1);
    arrive(0, 1);
    admission_order(&admission);
    EXPECT_ORDER(2, 0, 3, 1);
}

static void test_admission_rank_ages_to_the_usual_and_no_further(void **state)
{
    (void)state;
    assert_int_equal(admission_rank(3, 0), 3);
    assert_int_equal(admission_rank(3, 20 * SECOND), 1);
    assert_int_equal(admission_rank(3, 3000 * SECOND), 0);
    assert_int_equal(admission_rank(0, 3000 * SECOND), 0);
    assert_int_equal(admission_rank(-2, 3000 * SECOND), -2);
}

static void test_admission_tenants_take_turns(void **state)
{
    (void)state;
    begin(NULL, 0);
    for (int i = 0; i < 4; i++) {
        arrive(0, 1);
    }
    arrive(0, 2);
    arrive(0, 2);
    admission_order(&admission);
    EXPECT_ORDER(0, 4, 1, 5, 2, 3);
    begin((const uint32_t[]){ 1, 1 }, 2); // tenant 1 has two running: tenant 2 catches up first
    arrive(0, 1);
    arrive(0, 2);
    arrive(0, 2);
    arrive(0, 2);
    admission_order(&admission);
    EXPECT_ORDER(1, 2, 0, 3);
}

static void test_admission_less_served_tenant_goes_first(void **state)
{
    (void)state;
    struct admission_served served = { 0 };
    admission_charge(&served, 1, 1000, SECOND);
    admission_charge(&served, 2, 700, SECOND);
    begin(NULL, 0);
    for (uint32_t tenant = 1; tenant <= 3; tenant++) {
        admission_add(&admission, &(struct admission_candidate){ .ref = (void *)&refs[tenant],
                                                                 .tenant = tenant,
                                                                 .served = admission_served_tokens(&served, tenant),
                                                                 .arrival = tenant });
    }
    admission_order(&admission);
    EXPECT_ORDER(3, 2, 1);
    for (uint64_t i = 1; i <= 12; i++) {
        admission_charge(&served, 3, 1, i * 11 * SECOND);
    }
    assert_int_equal(admission_served_tokens(&served, 1), 0); // long ago
}

static void test_admission_flood_of_one_hides_nobody(void **state)
{
    (void)state;
    begin(NULL, 0);
    for (int i = 0; i < 5000; i++) {
        arrive(0, 1);
    }
    arrive(0, 2);
    arrive(-1, 1);
    admission_order(&admission);
    assert_int_equal(admission.n, ADMISSION_WINDOW);
    assert_ptr_equal(admission.candidates[0].ref, &refs[5001]);
    // Whom -1 belongs to has one running then: the other's is next.
    assert_ptr_equal(admission.candidates[1].ref, &refs[5000]);
    assert_ptr_equal(admission.candidates[2].ref, &refs[0]);
}

static void test_admission_longest_cached_prefix_goes_first_within_its_tenant(void **state)
{
    (void)state;
    static const uint32_t cached[] = { 0, 100, 30, 5 };
    begin(NULL, 0);
    for (int i = 0; i < 4; i++) {
        arrive(i == 3 ? -1 : 0, 1);
    }
    for (size_t i = 0; i < admission.n; i++) {
        admission.candidates[i].n_cached = cached[(const char *)admission.candidates[i].ref - refs];
    }
    admission_order(&admission);
    EXPECT_ORDER(3, 1, 2, 0);
}

static void test_admission_removed_one_is_gone(void **state)
{
    (void)state;
    begin(NULL, 0);
    for (int i = 0; i < 3; i++) {
        arrive(0, 1);
    }
    admission_order(&admission);
    admission_remove(&admission, &refs[1]);
    admission_remove(&admission, &refs[9]); // was not there
    EXPECT_ORDER(0, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_admission_one_tenant_goes_by_arrival),
        cmocka_unit_test(test_admission_lower_priority_number_goes_first),
        cmocka_unit_test(test_admission_rank_ages_to_the_usual_and_no_further),
        cmocka_unit_test(test_admission_tenants_take_turns),
        cmocka_unit_test(test_admission_less_served_tenant_goes_first),
        cmocka_unit_test(test_admission_flood_of_one_hides_nobody),
        cmocka_unit_test(test_admission_longest_cached_prefix_goes_first_within_its_tenant),
        cmocka_unit_test(test_admission_removed_one_is_gone),
    };
    return cmocka_run_group_tests_name("admission", tests, NULL, NULL);
}
