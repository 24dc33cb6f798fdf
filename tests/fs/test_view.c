// Readers of a chain of turns, made by hand: text and chunks, ends told once, offsets that run on.
#include "fs/file.h"
#include "fs/mount.h"
#include "fs/view.h"
#include "tests/unit.h"
#include <errno.h>
#include <string.h>

static struct mount mount;
static struct turn *first, *last;

static void add_turn(void)
{
    struct turn *turn;
    assert_int_equal(turn_new_idle(&mount, &turn), 0);
    turn->state = TURN_QUEUED;
    turn->is_accepted = true;
    strcpy(turn->id, "chatcmpl-x");
    mount.counts.n_running++;
    turn_ref(turn); // the engine's
    turn_follow(last, turn);
    turn_unref(last);
    last = turn;
}

static void say(const char *text)
{
    struct tokfs_event event = { .kind = TOKFS_EVENT_TOKEN, .text = text, .text_len = strlen(text) };
    turn_take_event(last, &event);
}

static void finish(const char *reason)
{
    struct tokfs_event event = { .kind = TOKFS_EVENT_FINISHED, .finish_reason = reason, .text = "" };
    turn_take_event(last, &event);
}

static int set_up(void **state)
{
    (void)state;
    mount = (struct mount){ .info = { .model = "m" } };
    list_init(&mount.dirty_channels);
    list_init(&mount.running);
    if (turn_new_idle(&mount, &first) < 0) {
        return -1;
    }
    last = turn_ref(first);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    turn_unref(first);
    turn_unref(last);
    return mount.counts.n_turns == 0 ? 0 : -1;
}

static void expect_read(struct view *view, uint64_t offset, int wanted, const char *text)
{
    struct str bytes = { 0 };
    assert_int_equal(view_read(view, 4096, offset, &bytes), wanted);
    if (text) {
        assert_int_equal(bytes.len, strlen(text));
        assert_memory_equal(bytes.ptr, text, bytes.len);
    }
}

static void test_view_before_any_turn_is_empty_then_follows(void **state)
{
    struct view view;
    (void)state;
    view_init(&view, last, VIEW_TEXT);
    expect_read(&view, 0, 0, NULL);
    expect_read(&view, 0, 0, NULL);
    assert_false(view_is_readable(&view)); // its end was told
    add_turn();
    expect_read(&view, 0, FILE_WAIT, NULL);
    say("hi");
    assert_true(view_is_readable(&view));
    expect_read(&view, 0, 2, "hi");
    view_deinit(&view);
    finish("stop");
}

static void test_view_tells_each_end_once_and_goes_on(void **state)
{
    struct view view;
    (void)state;
    add_turn();
    view_init(&view, last, VIEW_TEXT);
    assert_int_equal(view_size(&view), 0);
    say("one ");
    assert_int_equal(view_size(&view), 0); // 0 while it grows
    expect_read(&view, 0, 4, "one ");
    expect_read(&view, 4, FILE_WAIT, NULL);
    say("two");
    finish("stop");
    assert_int_equal(view_size(&view), 7);
    add_turn();
    say("three");
    expect_read(&view, 4, 3, "two");
    expect_read(&view, 7, 0, NULL); // the next turn has begun, but this reader must see the end of its own
    expect_read(&view, 7, 5, "three");
    assert_int_equal(view_size(&view), 12);
    expect_read(&view, 2, 5, "e two"); // back
    expect_read(&view, 100, FILE_WAIT, NULL);
    finish("stop");
    expect_read(&view, 100, 0, NULL);
    view_deinit(&view);
}

static void test_view_of_a_cancelled_turn_ends_with_an_error(void **state)
{
    struct view view;
    (void)state;
    add_turn();
    view_init(&view, last, VIEW_TEXT);
    say("par");
    finish("cancel");
    expect_read(&view, 0, 3, "par");
    expect_read(&view, 3, -ECANCELED, NULL);
    expect_read(&view, 3, -ECANCELED, NULL);
    add_turn();
    say("next");
    expect_read(&view, 3, 4, "next");
    view_deinit(&view);
    finish("stop");
}

static void read_all(struct view *view, size_t size, struct strbuf *out)
{
    struct str bytes;
    int n;
    while ((n = view_read(view, size, out->len, &bytes)) > 0) {
        assert_true((size_t)n <= size && n != FILE_WAIT);
        strbuf_append(out, bytes);
    }
    assert_int_equal(n, 0);
}

static void test_view_chunks_are_the_same_for_any_read_size(void **state)
{
    struct strbuf whole, pieces;
    struct view view;
    (void)state;
    add_turn();
    say("a\"b");
    say("\xc3\xa9");
    say("");
    finish("length");
    strbuf_init(&whole, 0);
    view_init(&view, last, VIEW_CHUNKS);
    read_all(&view, 100000, &whole);
    assert_non_null(strstr(whole.ptr, "\"role\":\"assistant\""));
    assert_non_null(strstr(whole.ptr, "\"content\":\"a\\\"b\""));
    assert_non_null(strstr(whole.ptr, "\"finish_reason\":\"length\""));
    assert_non_null(strstr(whole.ptr, "\"usage\":{"));
    size_t n_lines = 0;
    for (size_t i = 0; i < whole.len; i++) {
        n_lines += whole.ptr[i] == '\n';
    }
    assert_int_equal(n_lines, 4); // role, two pieces, the finish
    for (size_t size = 1; size < 90; size += 11) {
        strbuf_init(&pieces, 0);
        view_deinit(&view);
        view_init(&view, last, VIEW_CHUNKS);
        read_all(&view, size, &pieces);
        assert_string_equal(pieces.ptr, whole.ptr);
        strbuf_deinit(&pieces);
    }
    struct str bytes;
    assert_int_equal(view_read(&view, 5, 3, &bytes), 5); // back
    assert_memory_equal(bytes.ptr, whole.ptr + 3, 5);
    assert_int_equal(view_read(&view, 5, whole.len - 2, &bytes), 2);
    view_deinit(&view);
    strbuf_deinit(&whole);
}

// Of a READ that is answered in full the kernel asks for what follows, before its reader sees anything of it.
static void test_view_never_fills_a_read_that_the_kernel_would_follow(void **state)
{
    static char text[MOUNT_READ_BYTES_MAX + 1];
    struct view view;
    struct str bytes;
    (void)state;
    memset(text, 'x', MOUNT_READ_BYTES_MAX);
    add_turn();
    say(text);
    view_init(&view, last, VIEW_TEXT);
    assert_int_equal(view_read(&view, MOUNT_READ_BYTES_MAX, 0, &bytes), MOUNT_READ_BYTES_MAX - 1);
    assert_int_equal(view_read(&view, 1, MOUNT_READ_BYTES_MAX - 1, &bytes), 1); // one that is not, is
    assert_int_equal(view_read(&view, 1, MOUNT_READ_BYTES_MAX, &bytes), FILE_WAIT);
    finish("stop");
    assert_int_equal(view_read(&view, 1, MOUNT_READ_BYTES_MAX, &bytes), 0);
    view_deinit(&view);
}

static void test_view_chunks_wait_follow_and_fail(void **state)
{
    struct tokfs_error error = { .code = -EIO, .msg = "broken" };
    struct tokfs_event failed = { .kind = TOKFS_EVENT_FAILED, .error = &error };
    struct strbuf text;
    struct view view;
    struct str bytes;
    int n;
    (void)state;
    add_turn();
    strbuf_init(&text, 0);
    view_init(&view, last, VIEW_CHUNKS);
    n = view_read(&view, 4096, 0, &bytes);
    assert_true(n > 0 && n != FILE_WAIT); // the role
    uint64_t offset = (uint64_t)n;
    assert_int_equal(view_read(&view, 4096, offset, &bytes), FILE_WAIT);
    assert_false(view_is_readable(&view));
    say("x");
    assert_true(view_is_readable(&view));
    offset += (uint64_t)view_read(&view, 4096, offset, &bytes);
    turn_take_event(last, &failed);
    n = view_read(&view, 4096, offset, &bytes);
    assert_true(n > 0 && n != FILE_WAIT);
    assert_memory_equal(bytes.ptr, "{\"error\":", 9);
    offset += (uint64_t)n;
    assert_int_equal(view_read(&view, 4096, offset, &bytes), -EIO);
    add_turn();
    n = view_read(&view, 4096, offset, &bytes);
    assert_true(n > 0 && n != FILE_WAIT); // the role of the next turn
    finish("stop");
    view_deinit(&view);
    strbuf_deinit(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_view_before_any_turn_is_empty_then_follows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_view_tells_each_end_once_and_goes_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_view_of_a_cancelled_turn_ends_with_an_error, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_view_chunks_are_the_same_for_any_read_size, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_view_never_fills_a_read_that_the_kernel_would_follow, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_view_chunks_wait_follow_and_fail, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
