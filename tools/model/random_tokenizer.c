// A vocabulary without a corpus: every byte, then merges of lower-case letters in the order of their frequency in
// English.
//
// Merges, in rank order, until the vocabulary is full:
//   space + letter            " t"             26
//   letter + letter           "th"            676
//   (space letter) + letter   " th"           676
//   (pair) + letter           "the"        17,576
//   (pair) + pair             "ther"      456,976
// Within a group the sum of the letters' ranks orders, so that a small vocabulary gets the likely ones. Text comes to
// two to three characters a token, and every text can be encoded, since every byte is a token.
#include "tools/model/random_tokenizer.h"
#include "engine/base/json.h"
#include "engine/base/utf8.h"
#include "tools/model/command.h"
#include <errno.h>
#include <inttypes.h>
#include <string.h>

static const char letters[] = "etaoinshrdlcumwfgypbvkjxqz"; // most frequent first
#define N_LETTERS 26

static const char chat_template[] =
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + "
    "'\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

struct special_tokens random_tokenizer_specials(uint32_t n_vocab)
{
    return (struct special_tokens){ n_vocab - 3, n_vocab - 2, n_vocab - 1 };
}

// The character that stands for a byte in byte-level vocabularies: printable ones are themselves, the others follow
// from U+0100 on (GPT-2's bytes_to_unicode).
static void append_byte_char(struct strbuf *out, unsigned byte)
{
    uint32_t codepoint = 256;
    for (unsigned b = 0; b <= byte; b++) {
        bool is_printable = (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b <= 0xac) || b >= 0xae;
        if (b == byte) {
            codepoint = is_printable ? b : codepoint;
        } else if (!is_printable) {
            codepoint++;
        }
    }
    char utf8[4];
    strbuf_append(out, (struct str){ utf8, utf8_encode(codepoint, utf8) });
}

// ---- merges --------------------------------------------------------------------------------------------------------

struct merge_sink {
    uint32_t n_left;
    void (*fn)(struct merge_sink *sink, const char *left, const char *right);
    struct json_writer *w;
    uint32_t next_id;
};

#define SPACE "\xc4\xa0" // U+0120, the character of byte 0x20

// A group's merges: `n` letters after a prefix, the first `n_left_letters` of them in the left part.
static void emit_word(struct merge_sink *sink, const char *prefix, const unsigned *ranks, unsigned n,
                      unsigned n_left_letters)
{
    char left[8] = { 0 }, right[8] = { 0 };
    size_t at = strlen(prefix);
    memcpy(left, prefix, at);
    for (unsigned i = 0; i < n; i++) {
        if (i < n_left_letters) {
            left[at++] = letters[ranks[i]];
        } else {
            right[i - n_left_letters] = letters[ranks[i]];
        }
    }
    sink->fn(sink, left, right);
    sink->n_left--;
}

static void emit_group(struct merge_sink *sink, const char *prefix, unsigned n, unsigned n_left_letters)
{
    uint32_t n_words = 1;
    for (unsigned i = 0; i < n; i++) {
        n_words *= N_LETTERS;
    }
    for (unsigned sum = 0; sum <= n * (N_LETTERS - 1); sum++) {
        for (uint32_t word = 0; word < n_words && sink->n_left > 0; word++) {
            unsigned ranks[4], total = 0;
            for (uint32_t i = n, rest = word; i > 0; i--, rest /= N_LETTERS) {
                ranks[i - 1] = rest % N_LETTERS;
                total += ranks[i - 1];
            }
            if (total == sum) {
                emit_word(sink, prefix, ranks, n, n_left_letters);
            }
        }
    }
}

static uint32_t emit_merges(struct merge_sink *sink)
{
    emit_group(sink, SPACE, 1, 0);
    emit_group(sink, "", 2, 1);
    emit_group(sink, SPACE, 2, 1);
    emit_group(sink, "", 3, 2);
    emit_group(sink, "", 4, 2);
    return sink->n_left;
}

static void write_vocab_entry(struct merge_sink *sink, const char *left, const char *right)
{
    char text[16];
    size_t n = strlen(left);
    memcpy(text, left, n);
    strcpy(text + n, right);
    json_write_key(sink->w, text);
    json_write_u64(sink->w, sink->next_id++);
}

static void write_merge(struct merge_sink *sink, const char *left, const char *right)
{
    char text[24];
    size_t n = strlen(left);
    memcpy(text, left, n);
    text[n] = ' ';
    strcpy(text + n + 1, right);
    json_write_cstr(sink->w, text);
}

// ---- files ---------------------------------------------------------------------------------------------------------

static void write_special(struct json_writer *w, uint32_t id, const char *content)
{
    json_write_object_begin(w);
    json_write_key(w, "id");
    json_write_u64(w, id);
    json_write_key(w, "content");
    json_write_cstr(w, content);
    static const char *const flags[] = { "single_word", "lstrip", "rstrip", "normalized" };
    for (size_t i = 0; i < 4; i++) {
        json_write_key(w, flags[i]);
        json_write_bool(w, false);
    }
    json_write_key(w, "special");
    json_write_bool(w, true);
    json_write_object_end(w);
}

static void write_added_tokens(struct json_writer *w, uint32_t n_vocab)
{
    struct special_tokens special = random_tokenizer_specials(n_vocab);
    json_write_key(w, "added_tokens");
    json_write_array_begin(w);
    write_special(w, special.end_of_text, "<|endoftext|>");
    write_special(w, special.im_start, "<|im_start|>");
    write_special(w, special.im_end, "<|im_end|>");
    json_write_array_end(w);
}

static void write_bytes(struct json_writer *w)
{
    for (unsigned byte = 0; byte < 256; byte++) {
        struct strbuf name;
        strbuf_init(&name, 0);
        append_byte_char(&name, byte);
        if (name.error == 0) {
            json_write_key(w, name.ptr);
            json_write_u64(w, byte);
        } else {
            w->out->error = name.error;
        }
        strbuf_deinit(&name);
    }
}

// Returns how many tokens are missing to n_vocab.
static uint32_t write_model(struct json_writer *w, uint32_t n_vocab)
{
    json_write_key(w, "model");
    json_write_object_begin(w);
    json_write_key(w, "type");
    json_write_cstr(w, "BPE");
    static const char *const unset[] = { "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix" };
    for (size_t i = 0; i < 4; i++) {
        json_write_key(w, unset[i]);
        json_write_null(w);
    }
    static const char *const off[] = { "fuse_unk", "byte_fallback", "ignore_merges" };
    for (size_t i = 0; i < 3; i++) {
        json_write_key(w, off[i]);
        json_write_bool(w, false);
    }
    json_write_key(w, "vocab");
    json_write_object_begin(w);
    write_bytes(w);
    struct merge_sink sink = { n_vocab - RANDOM_TOKENIZER_N_MIN, write_vocab_entry, w, 256 };
    uint32_t n_missing = emit_merges(&sink);
    json_write_object_end(w);
    json_write_key(w, "merges");
    json_write_array_begin(w);
    sink = (struct merge_sink){ n_vocab - RANDOM_TOKENIZER_N_MIN, write_merge, w, 0 };
    emit_merges(&sink);
    json_write_array_end(w);
    json_write_object_end(w);
    return n_missing;
}

static uint32_t write_tokenizer(struct json_writer *w, uint32_t n_vocab)
{
    static const char byte_level[] =
        "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":true}";
    json_write_object_begin(w);
    json_write_key(w, "version");
    json_write_cstr(w, "1.0");
    static const char *const none[] = { "truncation", "padding", "normalizer", "post_processor" };
    for (size_t i = 0; i < 4; i++) {
        json_write_key(w, none[i]);
        json_write_null(w);
    }
    write_added_tokens(w, n_vocab);
    json_write_key(w, "pre_tokenizer");
    json_write_raw(w, str_from(byte_level));
    json_write_key(w, "decoder");
    json_write_raw(w, str_from(byte_level));
    uint32_t n_missing = write_model(w, n_vocab);
    json_write_object_end(w);
    return n_missing;
}

static void write_tokenizer_config(struct json_writer *w, uint32_t n_ctx_max)
{
    static const struct {
        const char *key, *value;
    } texts[] = {
        { "tokenizer_class", "PreTrainedTokenizerFast" },
        { "eos_token", "<|im_end|>" },
        { "pad_token", "<|endoftext|>" },
        { "chat_template", chat_template },
    };
    json_write_object_begin(w);
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        json_write_key(w, texts[i].key);
        json_write_cstr(w, texts[i].value);
    }
    json_write_key(w, "clean_up_tokenization_spaces");
    json_write_bool(w, false);
    json_write_key(w, "model_max_length");
    json_write_u64(w, n_ctx_max);
    json_write_object_end(w);
}

int random_tokenizer_write(const char *dir, uint32_t n_vocab, uint32_t n_ctx_max, struct err *err)
{
    struct strbuf out;
    struct json_writer w;
    strbuf_init(&out, 0);
    json_writer_init(&w, &out);
    uint32_t n_missing = write_tokenizer(&w, n_vocab);
    int rc;
    if (out.error < 0) {
        rc = err_set(err, out.error, "no memory for tokenizer.json");
    } else if (n_missing > 0) {
        rc = err_set(err, -EINVAL, "no tokenizer of %" PRIu32 " tokens can be made, at most %" PRIu32, n_vocab,
                     n_vocab - n_missing);
    } else {
        rc = output_write(dir, "tokenizer.json", strbuf_str(&out), err);
    }
    if (rc == 0) {
        strbuf_reset(&out);
        json_writer_init(&w, &out);
        write_tokenizer_config(&w, n_ctx_max);
        rc = out.error ? err_set(err, out.error, "no memory for tokenizer_config.json")
                       : output_write(dir, "tokenizer_config.json", strbuf_str(&out), err);
    }
    strbuf_deinit(&out);
    return rc;
}
