// Views. A text view finds its bytes by walking from its first turn; a chunk view makes them in order and starts over
// when it is asked for bytes before those that it holds.
#include "fs/view.h"
#include "fs/file.h"
#include <errno.h>
#include <string.h>

static void begin_chunks(struct view *view, struct turn *turn)
{
    view->chunk_turn = turn;
    chunk_cursor_init(&view->cursor, view->kind == VIEW_REASONING ? CHUNKS_REASONING : CHUNKS_NDJSON);
}

void view_init(struct view *view, struct turn *current, enum view_kind kind)
{
    *view = (struct view){ .first = turn_ref(current), .kind = kind };
    strbuf_init(&view->out, 0);
    begin_chunks(view, current);
}

void view_deinit(struct view *view)
{
    turn_unref(view->first);
    strbuf_deinit(&view->out);
}

static bool is_told(const struct view *view, const struct turn *turn)
{
    return view->has_told && view->told_serial >= turn->serial;
}

static int tell_end(struct view *view, const struct turn *turn)
{
    view->has_told = true;
    view->told_serial = turn->serial;
    return turn_end_code(turn);
}

// Whether a reader at the end of an ended turn goes on to the next.
static bool goes_on(const struct view *view, const struct turn *turn)
{
    return turn->next && is_told(view, turn);
}

static int read_text(struct view *view, size_t size, uint64_t offset, struct str *ret_bytes)
{
    const struct turn *turn = view->first;
    uint64_t base = 0;
    while (turn_is_ended(turn) && turn->next &&
           (offset > base + turn->text.len || (offset == base + turn->text.len && goes_on(view, turn)))) {
        base += turn->text.len;
        turn = turn->next;
    }
    if (offset < base + turn->text.len) {
        *ret_bytes = str_take(str_skip(strbuf_str(&turn->text), (size_t)(offset - base)), size);
        return (int)ret_bytes->len;
    }
    if (!turn_is_ended(turn)) {
        return FILE_WAIT;
    }
    return offset == base + turn->text.len ? tell_end(view, turn) : 0;
}

static void rewind_chunks(struct view *view)
{
    begin_chunks(view, view->first);
    strbuf_reset(&view->out);
    view->out_offset = 0;
}

static void drop_before(struct view *view, uint64_t offset)
{
    uint64_t n = offset - view->out_offset;
    if (n >= view->out.len) {
        n = view->out.len;
    }
    struct str rest = str_skip(strbuf_str(&view->out), (size_t)n);
    if (n > 0 && rest.len > 0) {
        memmove(view->out.ptr, rest.ptr, rest.len);
    }
    view->out.len = rest.len;
    view->out_offset += n;
}

static bool at_chunk_end(const struct view *view)
{
    return turn_is_ended(view->chunk_turn) && !chunk_has_next(&view->cursor, view->chunk_turn);
}

static int read_chunks(struct view *view, size_t size, uint64_t offset, struct str *ret_bytes)
{
    if (offset < view->out_offset) {
        rewind_chunks(view);
    }
    for (;;) {
        drop_before(view, offset);
        if (view->out_offset == offset && view->out.len >= size) {
            break;
        }
        int r = chunk_next(&view->cursor, view->chunk_turn, &view->out);
        if (r < 0) {
            return r;
        }
        if (r > 0) {
            continue;
        }
        bool is_through = view->out.len == 0 && at_chunk_end(view);
        if (!is_through || !view->chunk_turn->next ||
            (view->out_offset == offset && !is_told(view, view->chunk_turn))) {
            break;
        }
        begin_chunks(view, view->chunk_turn->next);
    }
    if (view->out_offset == offset && view->out.len > 0) {
        *ret_bytes = str_take(strbuf_str(&view->out), size);
        return (int)ret_bytes->len;
    }
    if (!at_chunk_end(view)) {
        return FILE_WAIT;
    }
    return view->out_offset == offset ? tell_end(view, view->chunk_turn) : 0;
}

int view_read(struct view *view, size_t size, uint64_t offset, struct str *ret_bytes)
{
    if (size == 0) {
        return 0;
    }
    size = file_stream_size(size);
    int r =
        view->kind == VIEW_TEXT ? read_text(view, size, offset, ret_bytes) : read_chunks(view, size, offset, ret_bytes);
    if (r != FILE_WAIT) {
        view->read_end = offset + (r > 0 ? (uint64_t)r : 0);
    }
    return r;
}

static bool text_is_readable(const struct view *view)
{
    const struct turn *turn = view->first;
    uint64_t base = 0;
    while (turn_is_ended(turn) && view->read_end >= base + turn->text.len && goes_on(view, turn)) {
        base += turn->text.len;
        turn = turn->next;
    }
    return view->read_end < base + turn->text.len || (turn_is_ended(turn) && !is_told(view, turn));
}

bool view_is_readable(struct view *view)
{
    if (view->kind == VIEW_TEXT) {
        return text_is_readable(view);
    }
    const struct turn *turn = view->chunk_turn;
    return view->read_end < view->out_offset + view->out.len || chunk_has_next(&view->cursor, turn) ||
           (turn_is_ended(turn) && (turn->next || !is_told(view, turn)));
}

uint64_t view_size(const struct view *view)
{
    uint64_t size = 0;
    for (const struct turn *turn = view->first; turn; turn = turn->next) {
        if (turn_is_ended(turn) || turn != view->first) {
            size += view->kind == VIEW_REASONING ? turn_reasoning_len(turn) : turn->text.len;
        }
    }
    return size;
}
