// Answers questions about grammars, one a line, for check_grammar.py. Payloads are hexadecimal.
//
//   S FLAGS SCHEMA, R PATTERN   the grammar of what follows: "ok", or "error CODE MESSAGE"
//   D TEXT                      is it accepted, byte by byte: "1" or "0"
//   W SEED                      a random walk through masks: the text, or "-" when it found no end. Every mask is
//                               compared with what the automaton says of each token.
//   F                           what is forced at the beginning
#include "engine/text/grammar/grammar.h"
#include "engine/text/grammar/token_mask.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N_WORDS   40
#define STEPS_MAX 1500

static const char *const words[N_WORDS] = {
    "\",",    "\": ",  "\": \"", "\":",  "\"}",  "\"]",      "{\"",      "[\"",
    "},",     "}}",    "]}",     "], ",  "true", "false",    "null",     "12",
    "0.5",    "e1",    "abc",    " ab",  "a b",  "name",     "na",       "\n  ",
    "\n    ", "\\u00", "\\n",    "\\\"", "\xc3", "\xc3\xa9", "\xe4\xb8", "\xe4\xb8\xad\xe6\x96\x87",
    "a\",",   "9\"",   "1,",     "1}",   "1]",   " \"",      "\"\"",     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
};

struct machine {
    struct grammar *grammar;
    struct automaton *a;
    struct token_masks *masks;
    struct token_trie trie;
    struct str tokens[256 + N_WORDS];
    char bytes[256];
    uint64_t random;
};

static uint32_t draw(struct machine *m, uint32_t n)
{
    uint64_t z = m->random += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (uint32_t)((z >> 32) % n);
}

static void drop(struct machine *m)
{
    token_masks_free(m->masks);
    automaton_free(m->a);
    grammar_free(m->grammar);
    m->masks = NULL;
    m->a = NULL;
    m->grammar = NULL;
}

static void compile(struct machine *m, char kind, unsigned flags, struct str source)
{
    struct err err = { 0 };
    drop(m);
    int rc = kind == 'S' ? grammar_from_schema(source, flags, "schema", &m->grammar, &err)
                         : grammar_from_regex(source, 0, "regex", &m->grammar, &err);
    if (rc < 0) {
        assert(err.code == rc && err.msg[0]);
        printf("error %d %s\n", rc, err.msg);
        return;
    }
    rc = automaton_new(grammar_nfa(m->grammar), &m->a);
    assert(rc == 0);
    rc = token_masks_new(m->a, &m->trie, 8, &m->masks);
    assert(rc == 0);
    printf("ok\n");
}

static bool accepts(struct machine *m, struct str text)
{
    struct automaton_cursor cursor;
    automaton_cursor_init(m->a, &cursor);
    bool is_accepted = true;
    for (size_t i = 0; i < text.len && is_accepted; i++) {
        is_accepted = automaton_cursor_advance(m->a, &cursor, (struct str){ text.ptr + i, 1 });
    }
    is_accepted = is_accepted && automaton_may_end(m->a, cursor.state);
    automaton_cursor_deinit(&cursor);
    return is_accepted;
}

static bool has_bit(const uint64_t *bits, size_t id)
{
    return bits[id / 64] >> id % 64 & 1;
}

static size_t check_mask(struct machine *m, const struct automaton_cursor *cursor, const uint64_t *bits)
{
    size_t n = 0;
    for (size_t id = 0; id < 256 + N_WORDS; id++) {
        struct automaton_cursor probe;
        automaton_cursor_copy(m->a, &probe, cursor);
        bool is_allowed = automaton_cursor_advance(m->a, &probe, m->tokens[id]);
        automaton_cursor_deinit(&probe);
        assert(is_allowed == has_bit(bits, id));
        n += is_allowed;
    }
    return n;
}

// A token of the mask; quotes and closing brackets are preferred as the walk gets longer.
static size_t choose(struct machine *m, const uint64_t *bits, size_t step)
{
    static const char closing[] = "\"}],";
    for (size_t i = 0; i < 4 && draw(m, 100) < step; i++) {
        if (has_bit(bits, (uint8_t)closing[i])) {
            return (uint8_t)closing[i];
        }
    }
    for (;;) {
        size_t id = draw(m, 256 + N_WORDS);
        if (has_bit(bits, id)) {
            return id;
        }
    }
}

static void walk(struct machine *m)
{
    struct automaton_cursor cursor;
    struct strbuf text;
    strbuf_init(&text, 0);
    automaton_cursor_init(m->a, &cursor);
    size_t step = 0;
    for (; step < STEPS_MAX; step++) {
        if (draw(m, 32) == 0) { // as if there were too many states
            automaton_collect(m->a, NULL, 0);
        }
        uint64_t bits[(256 + N_WORDS + 63) / 64];
        memcpy(bits, token_masks_get(m->masks, &cursor), sizeof bits);
        size_t n = check_mask(m, &cursor, bits);
        bool may_end = automaton_may_end(m->a, cursor.state);
        assert(n > 0 || may_end);
        if (may_end && (n == 0 || draw(m, 4) == 0)) {
            break;
        }
        size_t id = choose(m, bits, step);
        strbuf_append(&text, m->tokens[id]);
        bool is_taken = automaton_cursor_advance(m->a, &cursor, m->tokens[id]);
        assert(is_taken);
    }
    for (size_t i = 0; step < STEPS_MAX && i < text.len; i++) {
        printf("%02x", (uint8_t)text.ptr[i]);
    }
    printf(step < STEPS_MAX ? "\n" : "-\n");
    automaton_cursor_deinit(&cursor);
    strbuf_deinit(&text);
}

static void forced(struct machine *m)
{
    struct automaton_cursor cursor;
    char out[256];
    automaton_cursor_init(m->a, &cursor);
    size_t n = automaton_forced(m->a, &cursor, sizeof out, out);
    for (size_t i = 0; i < n; i++) {
        printf("%02x", (uint8_t)out[i]);
    }
    printf("\n");
    automaton_cursor_deinit(&cursor);
}

static struct str from_hex(char *hex)
{
    size_t n = strlen(hex) / 2;
    for (size_t i = 0; i < n; i++) {
        char digits[3] = { hex[2 * i], hex[2 * i + 1], 0 };
        hex[i] = (char)strtoul(digits, NULL, 16);
    }
    return (struct str){ hex, n };
}

static void answer(struct machine *m, char *line)
{
    char *end = line + 1;
    line[strcspn(line, "\n")] = '\0';
    unsigned long number = line[0] == 'S' || line[0] == 'W' ? strtoul(line + 1, &end, 10) : 0;
    end += *end == ' ';
    if (!m->a && (line[0] == 'W' || line[0] == 'F')) { // the last grammar was refused
        printf("-\n");
        fflush(stdout);
        return;
    }
    switch (line[0]) {
    case 'S':
    case 'R': compile(m, line[0], (unsigned)number, from_hex(end)); break;
    case 'D': printf("%d\n", m->a && accepts(m, from_hex(end))); break;
    case 'W':
        m->random = number;
        walk(m);
        break;
    default: forced(m);
    }
    fflush(stdout);
}

int main(void)
{
    static struct machine m;
    char *line = NULL;
    size_t cap = 0;
    for (int i = 0; i < 256; i++) {
        m.bytes[i] = (char)i;
        m.tokens[i] = (struct str){ &m.bytes[i], 1 };
    }
    for (int i = 0; i < N_WORDS; i++) {
        m.tokens[256 + i] = str_from(words[i]);
    }
    if (token_trie_init(&m.trie, m.tokens, 256 + N_WORDS) < 0) {
        return 1;
    }
    while (getline(&line, &cap, stdin) > 0) {
        answer(&m, line);
    }
    drop(&m);
    token_trie_deinit(&m.trie);
    free(line);
    return 0;
}
