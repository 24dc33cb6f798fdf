// A sequence's tokens on their way to parts of an answer: special tokens that are marks, ends, stop strings, the ring.
// No model: the tokens are given.
#include "engine/serve/answer_setup.h"
#include "engine/serve/sequence.h"
#include "tests/byte_tokenizer.h"
#include "tests/unit.h"
#include <string.h>

#define TEMPLATE "[TOOL_CALLS][/THINK]"
#define TOOLS    "[{\"type\":\"function\",\"function\":{\"name\":\"now\"}},{\"function\":{\"name\":\"get_w\"}}]"

// Ids of the special tokens; </s> ends an answer.
enum { END = 257, TOOL_CALLS, ARGS, THINK, END_THINK, OTHER };
static const char *const specials[] = { "[TOOL_CALLS]", "[ARGS]", "[THINK]", "[/THINK]", "[OTHER]", NULL };

struct fixture {
    struct tokenizer *tok;
    struct answer_style style;
    struct arena arena;
    struct event_ring ring;
    struct sequence_env env;
    struct sequence seq;
    struct tokfs_completion completion;
    struct choice choice;
    struct strbuf seen; // the parts that came, as "R<..>T<id name>A<..>C<..>"
    char last_kind;
    char id[64];
};

static const int32_t end_ids[] = { END };
static const int32_t prompt[] = { 'h', 'i' };

static void set_up(struct fixture *f, uint32_t n_slots)
{
    *f = (struct fixture){ .tok = byte_tokenizer_new_with(specials) };
    struct err err;
    f->style.format = answer_format_detect(STR(TEMPLATE));
    assert_int_equal(answer_style_find_marks(&f->style, f->tok, &err), 0);
    arena_init(&f->arena, 0);
    assert_int_equal(event_ring_init(&f->ring, n_slots), 0);
    f->env =
        (struct sequence_env){ .tok = f->tok, .end_ids = end_ids, .n_end_ids = 1, .page_tokens = 16, .n_ctx = 256 };
    assert_int_equal(sequence_init(&f->seq, &f->env), 0);
    strbuf_init(&f->seen, 0);
}

static void begin(struct fixture *f, const char *tools, bool parallel)
{
    struct chat_request request = { .parallel_tool_calls = parallel };
    struct tokfs_completion *c = &f->completion;
    struct err err;
    if (tools) {
        assert_int_equal(json_parse(&f->arena, str_from(tools), &request.tools, &err), 0);
    }
    assert_int_equal(answer_setup_new(&f->style, &request, STR("hi"), &c->answer, &err), 0);
    f->choice = (struct choice){
        .completion = c, .index = f->choice.index, .prompt = prompt, .n_prompt = 2, .n_tokens_max = 256
    };
    c->n_unended = 1;
    sequence_begin(&f->seq, &f->choice, 1);
    assert_true(sequence_advance(&f->seq, 2));
}

static void see(struct fixture *f, const struct event_slot *slot)
{
    if (slot->kind == EVENT_SLOT_CALL_ID) {
        assert_int_equal(f->id[0], 0);
        memcpy(f->id, slot->text, slot->text_len);
        return;
    }
    if (slot->text_len == 0) {
        return;
    }
    char kind = "CRTA"[slot->part];
    assert_int_equal(kind == 'T', f->id[0] != 0); // an id comes right before its call
    if (kind != f->last_kind) {
        strbuf_printf(&f->seen, "%s%c<", f->last_kind ? ">" : "", kind);
    }
    strbuf_append(&f->seen, (struct str){ slot->text, slot->text_len });
    f->last_kind = kind;
    f->id[0] = kind == 'T' ? 0 : f->id[0];
}

// Flushes however often the ring takes.
static void drain(struct fixture *f)
{
    const struct event_slot *slot;
    bool is_through = false;
    while (!is_through) {
        is_through = f->seq.state == SEQUENCE_EMPTY || sequence_flush(&f->seq, &f->ring);
        event_ring_publish(&f->ring);
        while ((slot = event_ring_take(&f->ring, event_ring_published(&f->ring)))) {
            see(f, slot);
        }
    }
}

static void say_id(struct fixture *f, int32_t id)
{
    if (f->seq.state == SEQUENCE_DECODE) {
        sequence_append(&f->seq, id, 2);
        drain(f);
        f->seq.n_computed = f->seq.n_tokens; // the step that follows
    }
}

static void say(struct fixture *f, const char *text)
{
    for (; *text; text++) {
        say_id(f, (unsigned char)*text);
    }
}

static void tear_down(struct fixture *f, const char *seen, const char *reason)
{
    assert_int_equal(f->seq.state, SEQUENCE_EMPTY);
    strbuf_append(&f->seen, f->last_kind ? STR(">") : STR(""));
    assert_string_equal(f->seen.ptr ? f->seen.ptr : "", seen);
    assert_string_equal(f->choice.finish_reason, reason);
    answer_setup_free(f->completion.answer);
    sequence_deinit(&f->seq);
    strbuf_deinit(&f->seen);
    event_ring_deinit(&f->ring);
    arena_deinit(&f->arena);
    tokenizer_free(f->tok);
}

static void say_reasoning_and_call(struct fixture *f)
{
    say_id(f, THINK);
    say(f, "hm");
    say_id(f, OTHER);
    say_id(f, END_THINK);
    say(f, "So ");
    say_id(f, TOOL_CALLS);
    say(f, "now");
    say_id(f, ARGS);
    say(f, "{\"a\":1}");
}

static void test_answer_special_tokens_are_marks_and_never_text(void **state)
{
    struct fixture f;
    (void)state;
    for (uint32_t n_slots = 2; n_slots <= 64; n_slots *= 32) { // a call's id and name just fit
        set_up(&f, n_slots);
        begin(&f, TOOLS, true);
        say_reasoning_and_call(&f);
        say_id(&f, TOOL_CALLS);
        say(&f, "get_w");
        say_id(&f, ARGS);
        say(&f, "{}");
        say_id(&f, END);
        tear_down(&f, "R<hm>C<So>T<now>A<{\"a\":1}>T<get_w>A<{}>", "tool_calls");
    }
}

static void test_answer_without_tools_has_no_calls(void **state)
{
    struct fixture f;
    (void)state;
    set_up(&f, 16);
    begin(&f, NULL, true);
    say_reasoning_and_call(&f);
    say_id(&f, END);
    tear_down(&f, "R<hm>C<So now{\"a\":1}>", "stop"); // its special tokens are not shown
}

static void test_answer_of_one_call_ends_with_it(void **state)
{
    struct fixture f;
    (void)state;
    set_up(&f, 16);
    begin(&f, TOOLS, false);
    say_reasoning_and_call(&f);
    assert_int_equal(f.seq.state, SEQUENCE_EMPTY);
    tear_down(&f, "R<hm>C<So>T<now>A<{\"a\":1}>", "tool_calls");
}

static void test_answer_stop_string_counts_in_all_of_the_text(void **state)
{
    struct fixture f;
    (void)state;
    set_up(&f, 16);
    f.completion.sampling.stop[0] = STR("a\":");
    f.completion.sampling.n_stop = 1;
    begin(&f, TOOLS, true);
    say_reasoning_and_call(&f);
    tear_down(&f, "R<hm>C<So>T<now>A<{\">", "tool_calls");
}

static void test_answer_cut_short_gives_what_was_held(void **state)
{
    struct fixture f;
    (void)state;
    set_up(&f, 16);
    begin(&f, TOOLS, true);
    say(&f, "Hm ");
    say_id(&f, TOOL_CALLS);
    say(&f, "no");
    sequence_cancel(&f.seq);
    drain(&f);
    tear_down(&f, "C<Hm [TOOL_CALLS]no>", "cancel");
}

static struct str id_of(struct fixture *f, uint32_t index)
{
    struct answer_part part;
    set_up(f, 16);
    f->choice.index = index;
    begin(f, TOOLS, true);
    f->completion.answer->request.id_seed = 7;
    sequence_append(&f->seq, TOOL_CALLS, 2);
    f->seq.owes_token = false;
    f->seq.n_computed = f->seq.n_tokens;
    assert_int_equal(answer_parser_feed(&f->seq.parser, STR("now[ARGS]{")), 0);
    assert_true(answer_parts_first(&f->seq.parts, &part) && part.kind == ANSWER_CALL);
    return part.id;
}

static void test_answer_choices_have_ids_of_their_own(void **state)
{
    struct fixture a, b;
    (void)state;
    struct str id_a = id_of(&a, 0), id_b = id_of(&b, 1);
    assert_int_equal(id_a.len, 9);
    assert_false(str_eq(id_a, id_b));
    sequence_cancel(&a.seq);
    sequence_cancel(&b.seq);
    drain(&a);
    drain(&b);
    tear_down(&a, "T<now>A<{>", "cancel");
    tear_down(&b, "T<now>A<{>", "cancel");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answer_special_tokens_are_marks_and_never_text),
        cmocka_unit_test(test_answer_without_tools_has_no_calls),
        cmocka_unit_test(test_answer_of_one_call_ends_with_it),
        cmocka_unit_test(test_answer_stop_string_counts_in_all_of_the_text),
        cmocka_unit_test(test_answer_cut_short_gives_what_was_held),
        cmocka_unit_test(test_answer_choices_have_ids_of_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
