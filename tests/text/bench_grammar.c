// Figures of grammars, not a test:  bench-grammar TOKENIZER-DIR
//
// Compiles schemas, then follows documents token by token as the tokenizer cuts them and takes the mask of each state,
// once for the first time and once again.
#include "engine/text/grammar/grammar.h"
#include "engine/text/grammar/token_mask.h"
#include "engine/text/tokenizer.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SAMPLES_MAX 65536

static const char person[] =
    "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\",\"maxLength\":200},\"age\":{\"type\":"
    "\"integer\","
    "\"minimum\":0,\"maximum\":150},\"email\":{\"type\":\"string\",\"format\":\"email\"},\"born\":{\"type\":\"string\","
    "\"format\":\"date-time\"},\"tags\":{\"type\":\"array\",\"items\":{\"enum\":[\"new\",\"old\",\"vip\"]},"
    "\"maxItems\":20},"
    "\"address\":{\"$ref\":\"#/$defs/address\"},\"friends\":{\"type\":\"array\",\"items\":{\"$ref\":\"#\"}},\"notes\":"
    "{\"type\":\"string\",\"pattern\":\"^[A-Z].{0,400}$\"}},\"required\":[\"name\",\"age\"],\"additionalProperties\":"
    "{\"type\":\"string\"},\"$defs\":{\"address\":{\"type\":\"object\",\"properties\":{\"street\":{\"type\":\"string\"}"
    ","
    "\"city\":{\"type\":\"string\"},\"zip\":{\"type\":\"string\",\"pattern\":\"^\\\\d{5}$\"}},\"required\":[\"city\"],"
    "\"additionalProperties\":false}}}";

static const char person_text[] =
    "{\"name\": \"Ada Lovelace, Countess of Lovelace\", \"age\": 36, \"email\": \"ada@example.org\", \"born\": "
    "\"1815-12-10T08:30:00Z\", \"tags\": [\"new\", \"vip\"], \"address\": {\"street\": \"12 St James's Square "
    "\xe4\xb8\xad"
    "\xe6\x96\x87 caf\xc3\xa9\", \"city\": \"London\", \"zip\": \"12345\"}, \"friends\": [{\"name\": \"Charles "
    "Babbage\", "
    "\"age\": 79, \"friends\": [{\"name\": \"Mary Somerville\", \"age\": 91}]}], \"notes\": \"Wrote the first "
    "programme "
    "that was meant for a machine, with many remarks.\", \"language\": \"English and some \\\"French\\\"\\n\"}";

static const char any_text[] = "{\n  \"model\": \"a \\u00e9 b\",\n  \"list\": [1, 2.5, -3e10, true, false, null, [[], "
                               "[{}]], \"text with some words\"],\n"
                               "  \"nested\": {\"a\": {\"b\": {\"c\": \"deep, deeper: {not} [an] object\"}}},\n  "
                               "\"last\": \"\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2"
                               "\xd0\xb5\xd1\x82, \xe4\xbd\xa0\xe5\xa5\xbd\"\n}";

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_times(const char *what, double *samples, size_t n)
{
    qsort(samples, n, sizeof(*samples), compare);
    printf("  %-24s n %5zu  median %8.2f us  p99 %8.2f us  max %8.2f us\n", what, n, samples[n / 2],
           samples[n * 99 / 100], samples[n - 1]);
}

static void follow(const struct tokenizer *tok, const struct token_trie *trie, const struct grammar *grammar,
                   struct str text)
{
    static double first[SAMPLES_MAX], again[SAMPLES_MAX], steps[SAMPLES_MAX];
    struct automaton *a;
    struct token_masks *masks;
    struct automaton_cursor cursor;
    struct token_ids ids = { 0 };
    size_t n = 0;
    double begin = now_us();
    if (automaton_new(grammar_nfa(grammar), &a) < 0 || token_masks_new(a, trie, 64, &masks) < 0 ||
        tokenizer_encode(tok, text, 0, &ids, NULL) < 0) {
        abort();
    }
    printf("  automaton and masks made in %.0f us; %zu nodes\n", now_us() - begin, grammar_nfa(grammar)->n_nodes);
    automaton_cursor_init(a, &cursor);
    for (; n < ids.len; n++) {
        double t0 = now_us();
        const uint64_t *bits = token_masks_get(masks, &cursor);
        double t1 = now_us();
        bits = token_masks_get(masks, &cursor);
        double t2 = now_us();
        bool is_allowed = bits[ids.ids[n] / 64] >> ids.ids[n] % 64 & 1;
        if (!automaton_cursor_advance(a, &cursor, tokenizer_token_bytes(tok, ids.ids[n])) || !is_allowed) {
            printf("  token %zu is not allowed\n", n);
            break;
        }
        steps[n] = now_us() - t2;
        first[n] = t1 - t0;
        again[n] = t2 - t1;
    }
    printf("  %s\n", automaton_may_end(a, cursor.state) ? "the document is complete" : "the document is NOT complete");
    print_times("mask, first time", first, n);
    print_times("mask, kept", again, n);
    print_times("advance by a token", steps, n);
    automaton_cursor_deinit(&cursor);
    token_masks_free(masks);
    automaton_free(a);
    token_ids_deinit(&ids);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name, *schema, *text;
    } cases[] = { { "person", person, person_text }, { "any object", "{\"type\":\"object\"}", any_text } };
    struct tokenizer *tok;
    struct token_trie trie;
    struct err err;
    if (argc != 2 || tokenizer_open(argv[1], &tok, &err) < 0) {
        return 1;
    }
    double begin = now_us();
    if (token_trie_init_from_tokenizer(&trie, tok) < 0) {
        return 1;
    }
    printf("trie: %zu tokens, %u nodes, made in %.1f ms\n", trie.n_vocab, trie.n_nodes, (now_us() - begin) / 1e3);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct grammar *grammar;
        begin = now_us();
        if (grammar_from_schema(str_from(cases[i].schema), 0, "schema", &grammar, &err) < 0) {
            printf("%s\n", err.msg);
            return 1;
        }
        printf("%s: compiled in %.0f us\n", cases[i].name, now_us() - begin);
        follow(tok, &trie, grammar, str_from(cases[i].text));
        grammar_free(grammar);
    }
    token_trie_deinit(&trie);
    tokenizer_free(tok);
    return 0;
}
