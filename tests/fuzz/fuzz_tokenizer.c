// Properties of a tokenizer.json of any bytes: it is refused with a reason, or what it makes encodes texts to ids that
// exist, and decodes any ids to well-formed UTF-8, in pieces as a whole.
#include "engine/base/utf8.h"
#include "engine/text/detokenizer.h"
#include "engine/text/tokenizer.h"
#include "tests/fuzz/fuzz.h"
#include <assert.h>
#include <errno.h>
#include <string.h>

#define BYTE_MODEL                                                                                                     \
    "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"c\":2,\"\xc4\xa0\":3,\"ab\":4,\"\xc4\xa0"                \
    "ab\":5,\"\xc3\xa4\":6,\"1\":7,"                                                                                   \
    "\"'\":8,\"s\":9,\"'s\":10},\"merges\":[\"a b\",[\"x\",\"y\"],\"\xc4\xa0 ab\",\"' s\"]}"
#define GPT2_MODEL                                                                                                     \
    "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"c\":2,\"\xc4\xa0\":3,\"ab\":4,\"\xc4\xa0"                \
    "ab\":5,\"\xc3\xa4\":6,\"1\":7,"                                                                                   \
    "\"'\":8,\"s\":9,\"'s\":10},\"merges\":[\"a b\",\"\xc4\xa0 ab\",\"' s\"]}"
#define LLAMA_MODEL                                                                                                    \
    "\"model\":{\"type\":\"BPE\",\"unk_token\":\"<unk>\",\"fuse_unk\":true,\"byte_fallback\":true,\"vocab\":{\"<unk>"  \
    "\":0,"                                                                                                            \
    "\"<0xE2>\":1,\"<0x82>\":2,\"<0xAC>\":3,\"\xe2\x96\x81\":4,\"a\":5,\"b\":6,\"ab\":7,\"\xe2\x96\x81"                \
    "a\":8},"                                                                                                          \
    "\"merges\":[\"a b\",\"\xe2\x96\x81 a\"]}"
#define ADDED(id, content, flags)                                                                                      \
    "{\"id\":" id ",\"content\":\"" content "\",\"single_word\":" flags ",\"lstrip\":" flags ",\"rstrip\":" flags      \
    ",\"normalized\":" flags ",\"special\":true}"
#define SPLIT(pattern, behavior, invert)                                                                               \
    "{\"type\":\"Split\",\"pattern\":" pattern ",\"behavior\":\"" behavior "\",\"invert\":" invert "}"
#define BYTE_LEVEL "{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"trim_offsets\":false,\"use_regex\":true}"

const struct str fuzz_seeds[] = {
    STR("{" GPT2_MODEL ",\"pre_tokenizer\":" BYTE_LEVEL ",\"decoder\":" BYTE_LEVEL
        ",\"added_tokens\":[" ADDED("11", "<s>", "false") "," ADDED("12", "word", "true") "]}"),
    STR("{" BYTE_MODEL "}"),
    STR("{" LLAMA_MODEL
        ",\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Prepend\",\"prepend\":\"\xe2\x96\x81\"},"
        "{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"\xe2\x96\x81\"}]},"
        "\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\",\"pattern\":{\"String\":"
        "\"\xe2\x96\x81\"},"
        "\"content\":\" \"},{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"},{\"type\":\"Strip\",\"content\":\" "
        "\",\"start\":1,"
        "\"stop\":1}]},\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"<"
        "unk>\"}},"
        "{\"Sequence\":{\"id\":\"A\"}}],\"special_tokens\":{\"<unk>\":{\"ids\":[0]}}}}"),
    STR("{" GPT2_MODEL
        ",\"normalizer\":{\"type\":\"NFKC\"},\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[" SPLIT(
            "{\"Regex\":\"(?i:'s)|[^\\\\r\\\\n\\\\p{L}]?\\\\p{L}+|\\\\s+(?!\\\\S)\"}", "MergedWithNext",
            "false") "," SPLIT("{\"String\":\"a\"}", "Contiguous",
                               "true") ",{\"type\":\"Digits\",\"individual_digits\":true},"
                                       "{\"type\":\"Punctuation\",\"behavior\":\"MergedWithPrevious\"},{\"type\":"
                                       "\"Metaspace\",\"replacement\":\"_\","
                                       "\"prepend_scheme\":\"first\",\"split\":true},{\"type\":\"Whitespace\"},{"
                                       "\"type\":\"FixedLength\",\"length\":3}]},"
                                       "\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Metaspace\","
                                       "\"replacement\":\"_\"},"
                                       "{\"type\":\"BPEDecoder\",\"suffix\":\"</"
                                       "w>\"},{\"type\":\"WordPiece\",\"prefix\":\"##\",\"cleanup\":true}]}}"),
    { NULL, 0 },
};

const struct str fuzz_words[] = {
    STR("\"NFC\""),
    STR("\"NFKD\""),
    STR("\"Lowercase\""),
    STR("\"StripAccents\""),
    STR("\"Nmt\""),
    STR("\"Strip\""),
    STR("\"ByteLevel\""),
    STR("\"Metaspace\""),
    STR("\"Digits\""),
    STR("\"Isolated\""),
    STR("\"Removed\""),
    STR("true"),
    STR("false"),
    STR("null"),
    STR("[]"),
    STR("{}"),
    STR("\\\\s+"),
    STR("\\\\p{N}{1,3}+"),
    STR("[^a]"),
    STR("(a|b)*"),
    STR("\"ignore_merges\":true,"),
    STR("\"end_of_word_suffix\":\"b\","),
    STR("\"continuing_subword_prefix\":\"a\","),
    STR("\"Fuse\""),
    STR("\"ByteFallback\""),
    STR("\"Regex\""),
    STR("2097151"),
    { NULL, 0 },
};

static const struct str texts[] = {
    STR(""),
    STR("a"),
    STR("  ab abc's  word <s>1 12\n\n "),
    STR("\xe2\x82\xac\xc3\xa4\xcc\x81\xf0\x9f\x98\x80 _a__b"),
};

static void check_decoding(const struct tokenizer *tok, const int32_t *ids, size_t n, bool skip)
{
    struct strbuf whole, pieces;
    struct detokenizer d;
    strbuf_init(&whole, 1 << 26);
    strbuf_init(&pieces, 1 << 26);
    detokenizer_init(&d, tok, skip);
    int r = 0;
    for (size_t i = 0; i < n && r == 0; i++) {
        size_t before = pieces.len;
        r = detokenizer_push(&d, ids[i], &pieces);
        struct str piece = str_skip(strbuf_str(&pieces), before);
        assert(utf8_valid_len(piece) == piece.len);
    }
    r = r ? r : detokenizer_finish(&d, &pieces);
    detokenizer_deinit(&d);
    int r_whole = tokenizer_decode(tok, ids, n, skip, &whole);
    assert(r == r_whole);
    assert(r < 0 || str_eq(strbuf_str(&whole), strbuf_str(&pieces)));
    strbuf_deinit(&whole);
    strbuf_deinit(&pieces);
}

static void check_text(const struct tokenizer *tok, struct str text, unsigned flags)
{
    struct token_ids ids = { 0 };
    struct err err = { 0 };
    int r = tokenizer_encode(tok, text, flags, &ids, &err);
    assert(r == 0 || r == -EINVAL || r == -EFBIG || r == -E2BIG || r == -ENOMEM);
    assert(r == err.code && (r == 0 || (ids.len == 0 && err.msg[0])));
    for (size_t i = 0; i < ids.len && !(flags & TOKENIZER_ADD_SPECIAL); i++) { // a template may name any id
        assert(ids.ids[i] >= 0 && (size_t)ids.ids[i] < tokenizer_n_vocab(tok));
    }
    check_decoding(tok, ids.ids, ids.len, false);
    token_ids_deinit(&ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str json = { (const char *)data, size };
    struct tokenizer *tok = NULL;
    struct err err = { 0 };
    int r = tokenizer_from_json(json, &tok, &err);
    assert(r == err.code && (r == 0) == (tok != NULL));
    if (r < 0) {
        assert(r == -EINVAL || r == -EOPNOTSUPP || r == -ENOMEM);
        assert(err.msg[0]);
        return 0;
    }
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        check_text(tok, texts[i], (unsigned)i & 3);
    }
    check_text(tok, str_take(json, 200), 0);
    static const int32_t odd[] = { 1, 2, 3, 1, -1, 0, 2, 2, 3, 1 << 30, 4, 5, 12, 6, 6, 11, 10, 1 };
    check_decoding(tok, odd, sizeof odd / sizeof odd[0], true);
    for (int32_t id = -1; id < 16; id++) {
        (void)tokenizer_token_bytes(tok, id);
        (void)tokenizer_is_special(tok, id);
    }
    tokenizer_free(tok);
    return 0;
}
