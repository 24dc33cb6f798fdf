// One row per way to cut a text, with the names of those who cut that way. Where a name stands for a published
// tokenizer.json the row says what that file says, patterns to the letter; `default` has no such file, it is what
// llama.cpp does with files that name none.
#include "engine/text/gguf_pre.h"

// clang-format off
// Parts that several patterns share.
#define CONTRACTION \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define CAPITALS_THEN_SMALL \
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+"
#define CAPITALS \
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*"
#define REST \
    " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define REST_SLASH \
    " ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define KANA_AND_HAN \
    "[一-龥぀-ゟ゠-ヿ]+"
#define HAN_AND_HANGUL \
    "[一-龥ࠀ-一가-퟿]+"
#define LLAMA3 CONTRACTION "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|" REST
#define QWEN2 CONTRACTION "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}|" REST
#define O200K CAPITALS_THEN_SMALL CONTRACTION "?|" CAPITALS CONTRACTION "?|\\p{N}{1,3}|" REST_SLASH

#define SPLIT(pattern) { GGUF_PRE_SPLIT, pattern }
#define STEP(kind) { GGUF_PRE_##kind, NULL }

static const struct gguf_pre rows[] = {
    { .names = { "llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano" },
      .steps = { SPLIT(LLAMA3), STEP(BYTES) },
      .ignore_merges = true,
      .adds_bos = true },
    { .names = { "dbrx", "smaug-bpe", "chatglm-bpe" },
      .steps = { SPLIT(LLAMA3), STEP(BYTES) } },
    { .names = { "glm4", "glm5" },
      .steps = { SPLIT(LLAMA3), STEP(BYTES) },
      .ignore_merges = true },
    { .names = { "qwen2", "f2llmv2" },
      .steps = { SPLIT(QWEN2), STEP(BYTES) },
      .is_composed = true },
    { .names = { "deepseek-r1-qwen", "kormo", "megrez", "stablelm2", "hunyuan", "solar-open", "grok-2" },
      .steps = { SPLIT(QWEN2), STEP(BYTES) } },
    { .names = { "qwen35" },
      .steps = { SPLIT(CONTRACTION "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|"
                       "\\s+(?!\\S)|\\s+"), STEP(BYTES) } },
    { .names = { "gpt-2", "phi-2", "jina-es", "jina-de", "jina-v2-es", "jina-v2-de", "gigachat", "a.x-4.0", "mellum", "exaone4" },
      .steps = { STEP(WORDS) } },
    { .names = { "jais", "trillion", "granite-docling" },
      .steps = { STEP(WORDS) } },
    { .names = { "mpt", "olmo", "modern-bert" },
      .steps = { STEP(WORDS) },
      .is_composed = true },
    { .names = { "starcoder", "refact", "smollm", "codeshell", "exaone", "minerva-7b", "mellum2" },
      .steps = { STEP(DIGITS_EACH), STEP(WORDS) } },
    { .names = { "command-r" },
      .steps = { STEP(DIGITS_EACH), STEP(WORDS) },
      .is_composed = true },
    { .names = { "falcon" },
      .steps = { STEP(PUNCTUATION), STEP(WORDS), STEP(DIGITS), SPLIT("[0-9][0-9][0-9]") } },
    { .names = { "default" },
      .steps = { SPLIT("[\\p{P}\\$\\+<=>\\^~\\|]+"),
                 SPLIT("'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"),
                 SPLIT("\\p{N}+"),
                 SPLIT("[0-9][0-9][0-9]"), STEP(BYTES) } },
    { .names = { "deepseek-llm" },
      .steps = { SPLIT("[\r\n]"),
                 SPLIT("\\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+"),
                 SPLIT("\\s?[!-/:-~！-／：-～‘-‟　-。]+"),
                 SPLIT("\\s+$"),
                 SPLIT(HAN_AND_HANGUL),
                 STEP(DIGITS_EACH), STEP(BYTES) } },
    { .names = { "deepseek-coder" },
      .steps = { SPLIT("[\r\n]"),
                 SPLIT("\\s?\\p{L}+"),
                 SPLIT("\\s?\\p{P}+"),
                 SPLIT(HAN_AND_HANGUL),
                 STEP(DIGITS_EACH), STEP(BYTES) } },
    { .names = { "deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4" },
      .steps = { SPLIT("\\p{N}{1,3}"),
                 SPLIT(KANA_AND_HAN),
                 SPLIT("[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+|"
                       " ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"), STEP(BYTES) } },
    { .names = { "spark2_5" },
      .steps = { SPLIT("\\p{N}{1,3}"),
                 SPLIT(KANA_AND_HAN),
                 SPLIT("[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+|"
                       " ?[\\p{P}\\p{S}]+|[\\r\\n]|\\s+(?!\\S)|\\s+"),
                 SPLIT("\\p{N}"), STEP(BYTES) } },
    { .names = { "youtu" },
      .steps = { SPLIT("[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|" KANA_AND_HAN),
                 SPLIT(CAPITALS_THEN_SMALL CONTRACTION "?|" CAPITALS CONTRACTION "?|\\p{N}|" REST_SLASH), STEP(BYTES) },
      .ignore_merges = true },
    { .names = { "gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2" },
      .steps = { SPLIT(O200K), STEP(BYTES) } },
    { .names = { "granite-embed-multi-97m" },
      .steps = { SPLIT(O200K), STEP(BYTES) },
      .ignore_merges = true },
    { .names = { "tekken" },
      .steps = { SPLIT(CAPITALS_THEN_SMALL "|" CAPITALS "|\\p{N}|" REST_SLASH), STEP(BYTES) },
      .ignore_merges = true,
      .adds_bos = true },
    { .names = { "tiny_aya", "cohere2moe" },
      .steps = { SPLIT("\\d{1,3}(?=(?:\\d{3})*\\b)"),
                 SPLIT(O200K), STEP(BYTES) } },
    { .names = { "poro-chat", "bloom", "gpt3-finnish" },
      .steps = { SPLIT(" ?[^(\\s|.,!?…。，、।۔،)]+"), STEP(BYTES) } },
    { .names = { "viking" },
      .steps = { SPLIT(" ?[^(\\s|.,!?…。，、।۔،)]+"),
                 STEP(DIGITS_EACH), STEP(BYTES) } },
    { .names = { "jais-2" },
      .steps = { SPLIT(CONTRACTION "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|"
                       "\\s{512}(?!\\S)|\\s{256}(?!\\S)|\\s{128}(?!\\S)|\\s{64}(?!\\S)|\\s{32}(?!\\S)|\\s{16}(?!\\S)|"
                       "\\s{8}(?!\\S)|\\s{4}(?!\\S)|\\s{1,2}(?!\\S)|\\s{1}"), STEP(BYTES) } },
    { .names = { "chameleon" },
      .steps = { SPLIT("<sentinel:[0-9]+>"),
                 SPLIT("(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z"),
                 SPLIT("([\\t\\n]|    |  )"),
                 STEP(DIGITS_EACH),
                 SPLIT("[\\p{P}!-/:-@\\[-`{-~]"),
                 STEP(WORDS) },
      .adds_bos = true },
    { .names = { "superbpe" },
      .steps = { SPLIT("\\p{N}+"),
                 SPLIT("(?=(\\d{3})+(?!\\d))"), STEP(BYTES) } },
    { .names = { "bailingmoe", "bailingmoe2", "llada-moe" },
      .steps = { SPLIT("'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|"
                       "\\s*[\\r\\n]|\\s+(?!\\S)|\\s+"), STEP(BYTES) } },
    { .names = { "seed-coder" },
      .steps = { SPLIT(CONTRACTION "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|\\s*[\\r\\n]+|\\s+(?!\\S)|"
                       "\\s+"), STEP(BYTES) } },
    { .names = { "ufakzeka" },
      .steps = { SPLIT("[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}|" REST), STEP(BYTES) } },
    { .names = { "laguna" },
      .steps = { SPLIT("[^\\n]+|[\\n]+"),
                 SPLIT(QWEN2), STEP(BYTES) } },
    { .names = { "exaone-moe" },
      .steps = { SPLIT(CONTRACTION "|[^\\r\\n\\p{L}\\p{N}]?(?:\\p{L}\\p{M}*(?: \\p{L}\\p{M}*)*)+|\\p{N}|"
                       " ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]?|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+"), STEP(BYTES) } },
    { .names = { "minicpm5" },
      .steps = { SPLIT("\\p{N}{1,3}"),
                 SPLIT(CONTRACTION "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}+|" REST), STEP(BYTES) },
      .ignore_merges = true },
    { .names = { "kimi-k2" },
      .steps = { SPLIT("[\\p{Han}]+|"
                       "[^\\r\\n\\p{L}\\p{N}]?(?:(?!\\p{Han})[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}])*(?:(?!\\p{Han})[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}])+" CONTRACTION "?|"
                       "[^\\r\\n\\p{L}\\p{N}]?(?:(?!\\p{Han})[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}])+(?:(?!\\p{Han})[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}])*" CONTRACTION "?|\\p{N}{1,3}|" REST), STEP(BYTES) } },
};
// clang-format on

const struct gguf_pre *gguf_pre_find(struct str name)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (size_t k = 0; k < GGUF_PRE_NAMES_MAX && rows[i].names[k]; k++) {
            if (str_eq(name, str_from(rows[i].names[k]))) {
                return &rows[i];
            }
        }
    }
    return NULL;
}

// ---- the other way -------------------------------------------------------------------------------------------------

static bool has_text(const struct json *object, struct str key, struct str text)
{
    const struct json *v = json_get(object, key);
    return v && v->type == JSON_STRING && str_eq(v->text, text);
}

static bool is_true(const struct json *object, struct str key, bool fallback)
{
    const struct json *v = json_get(object, key);
    return v && v->type == JSON_BOOL ? v->boolean : fallback;
}

static bool matches_step(const struct json *v, const struct gguf_pre_step *step)
{
    const struct json *pattern = json_get(v, STR("pattern"));
    bool is_byte_level = has_text(v, STR("type"), STR("ByteLevel")) && !is_true(v, STR("add_prefix_space"), true);
    bool is_digits = has_text(v, STR("type"), STR("Digits")), each = is_true(v, STR("individual_digits"), false);
    switch (step->kind) {
    case GGUF_PRE_END: return false;
    case GGUF_PRE_SPLIT:
        return has_text(v, STR("type"), STR("Split")) && has_text(v, STR("behavior"), STR("Isolated")) &&
               !is_true(v, STR("invert"), false) && pattern && has_text(pattern, STR("Regex"), str_from(step->pattern));
    case GGUF_PRE_WORDS: return is_byte_level && is_true(v, STR("use_regex"), true);
    case GGUF_PRE_BYTES: return is_byte_level && !is_true(v, STR("use_regex"), true);
    case GGUF_PRE_DIGITS: return is_digits && !each;
    case GGUF_PRE_DIGITS_EACH: return is_digits && each;
    case GGUF_PRE_PUNCTUATION:
        return has_text(v, STR("type"), STR("Punctuation")) && has_text(v, STR("behavior"), STR("Contiguous"));
    }
    return false;
}

// A component, or a sequence of them.
static bool matches_steps(const struct json *v, const struct gguf_pre *row)
{
    const struct json *list = has_text(v, STR("type"), STR("Sequence")) ? json_get(v, STR("pretokenizers")) : NULL;
    size_t n = list ? list->n_children : 1, n_steps = 0;
    while (n_steps < GGUF_PRE_STEPS_MAX && row->steps[n_steps].kind != GGUF_PRE_END) {
        n_steps++;
    }
    bool matches = n == n_steps;
    for (size_t i = 0; matches && i < n; i++) {
        matches = matches_step(list ? json_at(list, i) : v, &row->steps[i]);
    }
    return matches;
}

const struct gguf_pre *gguf_pre_match(const struct json *pre_tokenizer, bool is_composed, bool ignore_merges)
{
    for (size_t i = 0; pre_tokenizer && i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].is_composed == is_composed && rows[i].ignore_merges == ignore_merges &&
            matches_steps(pre_tokenizer, &rows[i])) {
            return &rows[i];
        }
    }
    return NULL;
}
