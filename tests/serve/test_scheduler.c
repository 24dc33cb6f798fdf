// The policy, driven with plain numbers: order, budget, admission, preemption, and a simulation that must always end.
#include "engine/serve/scheduler.h"

#include "tests/unit.h"
#include <string.h>

#define N_MAX 32

struct fixture {
    struct sched_seq active[N_MAX], waiting[N_MAX];
    struct sched_input in;
    struct sched_item items[N_MAX * 2];
    uint32_t preempted[N_MAX];
    struct sched_plan plan;
};

static struct fixture *fixture(void)
{
    static struct fixture f;
    f = (struct fixture){ 0 };
    f.in = (struct sched_input){
        .active = f.active,
        .waiting = f.waiting,
        .n_slots_free = 8,
        .n_pages_free = 100,
        .page_tokens = 16,
        .batch_tokens = 64,
        .prefill_tokens = 64,
    };
    f.plan = (struct sched_plan){ .items = f.items, .preempted = f.preempted };
    return &f;
}

static void add_active(struct fixture *f, uint32_t n_tokens, uint32_t n_computed, uint32_t n_pages)
{
    f->active[f->in.n_active++] =
        (struct sched_seq){ .n_tokens = n_tokens, .n_computed = n_computed, .n_pages = n_pages, .n_own = n_pages };
}

static void add_waiting(struct fixture *f, uint32_t n_tokens)
{
    f->waiting[f->in.n_waiting++] = (struct sched_seq){ .n_tokens = n_tokens };
}

static void expect_item(const struct fixture *f, size_t i, uint32_t idx, uint32_t n_tokens, uint32_t n_pages)
{
    assert_true(i < f->plan.n_items);
    assert_int_equal(f->items[i].idx, idx);
    assert_int_equal(f->items[i].n_tokens, n_tokens);
    assert_int_equal(f->items[i].n_pages, n_pages);
}

static void test_scheduler_nothing_plans_nothing(void **state)
{
    (void)state;
    struct fixture *f = fixture();
    scheduler_plan(&f->in, &f->plan);
    assert_int_equal(f->plan.n_items + f->plan.n_admitted + f->plan.n_preempted, 0);
}

static void test_scheduler_decodes_come_before_prefill(void **state)
{
    (void)state;
    struct fixture *f = fixture();
    add_active(f, 200, 0, 13); // a long prompt, the oldest
    add_active(f, 21, 20, 2);
    add_active(f, 17, 16, 1); // needs its second page
    scheduler_plan(&f->in, &f->plan);
    assert_int_equal(f->plan.n_items, 3);
    expect_item(f, 0, 1, 1, 2);
    expect_item(f, 1, 2, 1, 2);
    expect_item(f, 2, 0, 62, 13); // what is left of the budget
}

static void test_scheduler_prompts_beside_answers_take_prefill_tokens(void **state)
{
    (void)state;
    struct fixture *f = fixture();
    f->in.prefill_tokens = 20;
    add_active(f, 30, 15, 2);
    add_active(f, 21, 20, 2);
    add_active(f, 17, 16, 2);
    add_waiting(f, 40);
    scheduler_plan(&f->in, &f->plan);
    assert_int_equal(f->plan.n_items, 4);
    expect_item(f, 2, 0, 15, 2);
    expect_item(f, 3, 3, 5, 3); // the prompts share them
    f = fixture();
    f->in.prefill_tokens = 20;
    add_active(f, 200, 0, 13); // no answer waits for it
    add_active(f, 21, 20, 2);
    f->active[1].is_blocked = true;
    scheduler_plan(&f->in, &f->plan);
    assert_int_equal(f->plan.n_items, 1);
    expect_item(f, 0, 0, 64, 13);
}

static void test_scheduler_admits_in_order_under_the_budget(void **state)
{
    (void)state;
    struct fixture *f = fixture();
    add_waiting(f, 40);
    add_waiting(f, 40);
    add_waiting(f, 1);
    scheduler_plan(&f->in, &f->plan);
    assert_int_equal(f->plan.n_admitted, 2);
    expect_item(f, 0, 0, 40, 3);
    expect_item(f, 1, 1, 24, 3); // the rest of it follows in the next step
}

static void test_scheduler_nobody_overtakes_one_that_does_not_fit(void **state)
{
    (void)state;
    struct fixture *f = fixture();
    f->in.n_pages_free = 4;
    add_waiting(f, 16 * 5);
    add_waiting(f, 1);
    scheduler_plan(&f->in, &f->plan);
    assert_int_equal(f->plan.n_admitted, 0);
    f->in.n_pages_free = 5; // a lone sequence may take all
    scheduler_plan(&f->in, &f->plan);
    assert_int_equal(f->plan.n_admitted, 1);
}

static void test_scheduler_admission_leaves_room_to_grow(void **state)
{
    (void)state;
    struct fixture *f = fixture();
    add_active(f, 17, 16, 2);
    add_waiting(f, 16);
    f->in.n_pages_free = 2; // 1 for its prompt, 1 to grow, and 1 for the one that runs: not enough
    scheduler_plan(&f->in, &f->plan);
    assert_int_equal(f->plan.n_admitted, 0);
    f->in.n_pages_free = 3;
    scheduler_plan(&f->in, &f->plan);
    assert_int_equal(f->plan.n_admitted, 1);
}

static void test_scheduler_no_slot_admits_nobody(void **state)
{
    (void)state;
    struct fixture *f = fixture();
    add_waiting(f, 4);
    f->in.n_slots_free = 0;
    scheduler_plan(&f->in, &f->plan);
    assert_int_equal(f->plan.n_admitted, 0);
}

static void test_scheduler_lack_of_pages_preempts_the_youngest(void **state)
{
    (void)state;
    struct fixture *f = fixture();
    f->in.n_pages_free = 0;
    add_active(f, 33, 32, 2); // needs a page
    add_active(f, 20, 19, 2);
    add_active(f, 30, 29, 2); // gives it
    add_waiting(f, 1);
    scheduler_plan(&f->in, &f->plan);
    assert_int_equal(f->plan.n_preempted, 1);
    assert_int_equal(f->preempted[0], 2);
    assert_int_equal(f->plan.n_items, 2);
    expect_item(f, 0, 0, 1, 3);
    expect_item(f, 1, 1, 1, 2);
    assert_int_equal(f->plan.n_admitted, 0); // not in the step that preempts
}

static void test_scheduler_youngest_in_need_preempts_itself(void **state)
{
    (void)state;
    struct fixture *f = fixture();
    f->in.n_pages_free = 0;
    add_active(f, 20, 19, 2);
    add_active(f, 33, 32, 2);
    scheduler_plan(&f->in, &f->plan);
    assert_int_equal(f->plan.n_preempted, 1);
    assert_int_equal(f->preempted[0], 1);
    assert_int_equal(f->plan.n_items, 1);
    expect_item(f, 0, 0, 1, 2);
}

static void test_scheduler_preempted_returns_before_the_waiting(void **state)
{
    (void)state;
    struct fixture *f = fixture();
    add_active(f, 20, 19, 2);
    add_active(f, 30, 0, 0); // preempted
    add_waiting(f, 10);
    scheduler_plan(&f->in, &f->plan);
    assert_int_equal(f->plan.n_items, 3);
    expect_item(f, 1, 1, 30, 2);
    f->in.n_pages_free = 3; // 2 + 1 to grow + 1 for the other
    scheduler_plan(&f->in, &f->plan);
    assert_int_equal(f->plan.n_items, 1);
    assert_int_equal(f->plan.n_admitted, 0);
}

static void test_scheduler_blocked_waits_and_keeps_its_pages(void **state)
{
    (void)state;
    struct fixture *f = fixture();
    add_active(f, 20, 19, 2);
    f->active[0].is_blocked = true;
    add_active(f, 20, 19, 2);
    scheduler_plan(&f->in, &f->plan);
    assert_int_equal(f->plan.n_items, 1);
    expect_item(f, 0, 1, 1, 2);
    assert_int_equal(f->plan.n_preempted, 0);
}

static void test_scheduler_cached_tokens_are_not_run(void **state)
{
    (void)state;
    struct fixture *f = fixture();
    add_waiting(f, 100); // 7 pages
    f->waiting[0].cached = (struct sched_cached){ .n_tokens = 70, .n_unheld = 4, .is_tail_unheld = true };
    scheduler_plan(&f->in, &f->plan);
    expect_item(f, 0, 0, 30, 7);
    assert_int_equal(f->items[0].n_cached, 70);
    f->in.n_pages_free = 7; // no page for the copy's source: that part of a page is computed
    scheduler_plan(&f->in, &f->plan);
    expect_item(f, 0, 0, 36, 7);
    assert_int_equal(f->items[0].n_cached, 64);
    f->in.n_pages_free = 6;
    scheduler_plan(&f->in, &f->plan);
    assert_int_equal(f->plan.n_admitted, 0);
    f->waiting[0].cached.n_unheld = 0; // others hold them: they cost nothing
    f->in.n_pages_free = 3;
    scheduler_plan(&f->in, &f->plan);
    expect_item(f, 0, 0, 36, 7);
}

static void test_scheduler_same_block_in_flight_is_waited_for(void **state)
{
    (void)state;
    struct fixture *f = fixture();
    add_waiting(f, 20);
    add_waiting(f, 20);
    add_waiting(f, 9);
    f->waiting[0].next_block = f->waiting[1].next_block = 7;
    scheduler_plan(&f->in, &f->plan);
    assert_int_equal(f->plan.n_admitted, 2);
    expect_item(f, 0, 0, 20, 2);
    expect_item(f, 1, 2, 9, 1); // overtakes
    f->in.n_waiting = 1;
    add_active(f, 200, 30, 13);
    f->active[0].next_block = 7;
    scheduler_plan(&f->in, &f->plan);
    assert_int_equal(f->plan.n_admitted, 0);
}

static void test_scheduler_prompts_of_lower_priority_make_way(void **state)
{
    (void)state;
    struct fixture *f = fixture();
    add_active(f, 100, 32, 7);
    add_active(f, 100, 16, 7);
    f->active[1].priority = 5;
    add_waiting(f, 20);
    f->waiting[0].priority = 1;
    f->in.batch_tokens = 100;
    scheduler_plan(&f->in, &f->plan);
    assert_int_equal(f->plan.n_items, 3);
    expect_item(f, 0, 0, 68, 7);
    expect_item(f, 1, 2, 20, 2);
    expect_item(f, 2, 1, 12, 7);
    f->in.n_pages_free = 0; // the one that waits cannot begin
    scheduler_plan(&f->in, &f->plan);
    assert_int_equal(f->plan.n_admitted, 0);
    expect_item(f, 1, 1, 32, 7);
}

static void test_scheduler_preempted_of_lower_priority_makes_way(void **state)
{
    (void)state;
    struct fixture *f = fixture();
    add_active(f, 40, 39, 3);
    add_active(f, 60, 0, 0); // finds no room
    f->active[1].priority = 5;
    add_waiting(f, 20);
    f->in.n_pages_free = 5;
    scheduler_plan(&f->in, &f->plan);
    assert_int_equal(f->plan.n_admitted, 1);
    f->waiting[0].priority = 5;
    scheduler_plan(&f->in, &f->plan);
    assert_int_equal(f->plan.n_admitted, 0);
}

static void test_scheduler_block_of_lower_priority_is_not_waited_for(void **state)
{
    (void)state;
    struct fixture *f = fixture();
    add_active(f, 200, 30, 13);
    add_waiting(f, 20);
    f->active[0].next_block = f->waiting[0].next_block = 7;
    f->active[0].priority = 5;
    scheduler_plan(&f->in, &f->plan);
    assert_int_equal(f->plan.n_admitted, 1);
    f->waiting[0].priority = 5;
    scheduler_plan(&f->in, &f->plan);
    assert_int_equal(f->plan.n_admitted, 0);
}

static void test_scheduler_shared_pages_come_free_a_step_later(void **state)
{
    (void)state;
    struct fixture *f = fixture();
    f->in.n_pages_free = 0;
    add_active(f, 33, 32, 2); // needs a page
    add_active(f, 20, 19, 2);
    add_active(f, 20, 19, 2);
    f->active[1].n_own = f->active[2].n_own = 0; // the same two
    scheduler_plan(&f->in, &f->plan);
    assert_int_equal(f->plan.n_preempted, 2);
    assert_int_equal(f->plan.n_items, 0);
}

// ---- simulation ---------------------------------------------------------------------------------------------------

struct sim {
    struct fixture *f;
    uint32_t n_end[N_MAX]; // tokens at which each active one ends
    uint32_t n_pages, n_done;
    uint64_t random;
};

static uint32_t sim_random(struct sim *sim, uint32_t n)
{
    sim->random = sim->random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(sim->random >> 33) % n;
}

static void sim_apply(struct sim *sim)
{
    struct fixture *f = sim->f;
    for (size_t i = 0; i < f->plan.n_preempted; i++) {
        struct sched_seq *seq = &f->active[f->preempted[i]];
        f->in.n_pages_free += seq->n_pages;
        seq->n_pages = seq->n_own = seq->n_computed = 0;
    }
    for (size_t i = 0; i < f->plan.n_admitted; i++) {
        sim->n_end[f->in.n_active] = f->waiting[i].n_tokens + 1 + sim_random(sim, 40);
        f->active[f->in.n_active++] = f->waiting[i];
        f->in.n_slots_free--;
    }
    f->in.n_waiting -= f->plan.n_admitted;
    memmove(f->waiting, f->waiting + f->plan.n_admitted, f->in.n_waiting * sizeof(*f->waiting));
    for (size_t i = 0; i < f->plan.n_items; i++) {
        const struct sched_item *item = &f->items[i];
        struct sched_seq *seq = &f->active[item->idx];
        assert_true(item->n_pages - seq->n_pages <= f->in.n_pages_free);
        f->in.n_pages_free -= item->n_pages - seq->n_pages;
        seq->n_pages = seq->n_own = item->n_pages;
        seq->n_computed += item->n_tokens;
        assert_true(seq->n_computed <= seq->n_pages * f->in.page_tokens);
        assert_true(seq->n_computed <= seq->n_tokens);
        seq->n_tokens += seq->n_computed == seq->n_tokens;
    }
}

static void sim_retire(struct sim *sim)
{
    struct fixture *f = sim->f;
    size_t n = 0;
    for (size_t i = 0; i < f->in.n_active; i++) {
        if (f->active[i].n_tokens >= sim->n_end[i]) {
            f->in.n_pages_free += f->active[i].n_pages;
            f->in.n_slots_free++;
            sim->n_done++;
        } else {
            sim->n_end[n] = sim->n_end[i];
            f->active[n++] = f->active[i];
        }
    }
    f->in.n_active = n;
}

// A pool so small that sequences fight for it: everyone ends all the same, no page is lost, every step does something.
static void test_scheduler_tiny_pool_ends_everyone(void **state)
{
    (void)state;
    for (uint32_t round = 0; round < 200; round++) {
        struct sim sim = { .f = fixture(), .random = round };
        struct fixture *f = sim.f;
        f->in.page_tokens = 4;
        f->in.batch_tokens = 8 + sim_random(&sim, 40);
        sim.n_pages = f->in.n_pages_free = 20 + sim_random(&sim, 20); // the longest takes 20
        for (int i = 0; i < 20; i++) {
            add_waiting(f, 1 + sim_random(&sim, 38));
        }
        uint32_t n_steps = 0;
        while (sim.n_done < 20) {
            scheduler_plan(&f->in, &f->plan);
            assert_true(f->plan.n_items > 0);
            sim_apply(&sim);
            sim_retire(&sim);
            assert_true(++n_steps < 20000);
        }
        assert_int_equal(f->in.n_pages_free, sim.n_pages);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scheduler_nothing_plans_nothing),
        cmocka_unit_test(test_scheduler_decodes_come_before_prefill),
        cmocka_unit_test(test_scheduler_prompts_beside_answers_take_prefill_tokens),
        cmocka_unit_test(test_scheduler_admits_in_order_under_the_budget),
        cmocka_unit_test(test_scheduler_nobody_overtakes_one_that_does_not_fit),
        cmocka_unit_test(test_scheduler_admission_leaves_room_to_grow),
        cmocka_unit_test(test_scheduler_no_slot_admits_nobody),
        cmocka_unit_test(test_scheduler_lack_of_pages_preempts_the_youngest),
        cmocka_unit_test(test_scheduler_youngest_in_need_preempts_itself),
        cmocka_unit_test(test_scheduler_preempted_returns_before_the_waiting),
        cmocka_unit_test(test_scheduler_blocked_waits_and_keeps_its_pages),
        cmocka_unit_test(test_scheduler_cached_tokens_are_not_run),
        cmocka_unit_test(test_scheduler_same_block_in_flight_is_waited_for),
        cmocka_unit_test(test_scheduler_prompts_of_lower_priority_make_way),
        cmocka_unit_test(test_scheduler_preempted_of_lower_priority_makes_way),
        cmocka_unit_test(test_scheduler_block_of_lower_priority_is_not_waited_for),
        cmocka_unit_test(test_scheduler_shared_pages_come_free_a_step_later),
        cmocka_unit_test(test_scheduler_tiny_pool_ends_everyone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
