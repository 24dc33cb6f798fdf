// The components around the model as tokenizer.json writes them: the normalizer, the pre-tokenizer that the file names,
// the decoder, the ids that are put around a text, and the tokens that are cut out of it.
#include "engine/text/gguf_source.h"

enum { TOKEN_NORMAL = 1, TOKEN_UNKNOWN, TOKEN_CONTROL, TOKEN_USER_DEFINED, TOKEN_UNUSED, TOKEN_BYTE }; // token_type

static int64_t type_of(const struct gguf_source *s, uint64_t id)
{
    return s->types ? gguf_item_i64(s->types, id) : TOKEN_NORMAL;
}

static void write_type(struct json_writer *w, const char *type)
{
    json_write_object_begin(w);
    json_write_member_cstr(w, "type", type);
}

static void write_pattern(struct json_writer *w, const char *kind, const char *pattern)
{
    json_write_key(w, "pattern");
    json_write_object_begin(w);
    json_write_key(w, kind);
    json_write_cstr(w, pattern);
    json_write_object_end(w);
}

static void write_replace(struct json_writer *w, const char *from, const char *to)
{
    write_type(w, "Replace");
    write_pattern(w, "String", from);
    json_write_member_cstr(w, "content", to);
    json_write_object_end(w);
}

#define SPACE_MARK "\xe2\x96\x81"

static void write_normalizer(struct json_writer *w, const struct gguf_source *s)
{
    json_write_key(w, "normalizer");
    write_type(w, "Sequence");
    json_write_key(w, "normalizers");
    json_write_array_begin(w);
    if (s->model == GGUF_MODEL_GPT2 && s->pre->is_composed) {
        write_type(w, "NFC");
        json_write_object_end(w);
    }
    if (s->add_space_prefix) {
        write_type(w, "Prepend");
        json_write_member_cstr(w, "prepend", s->model == GGUF_MODEL_GPT2 ? " " : SPACE_MARK);
        json_write_object_end(w);
    }
    if (s->model != GGUF_MODEL_GPT2) {
        write_replace(w, " ", SPACE_MARK);
    }
    json_write_array_end(w);
    json_write_object_end(w);
}

static void write_byte_level(struct json_writer *w, bool use_regex)
{
    write_type(w, "ByteLevel");
    json_write_member_bool(w, "add_prefix_space", false);
    json_write_member_bool(w, "trim_offsets", false);
    json_write_member_bool(w, "use_regex", use_regex);
    json_write_object_end(w);
}

static void write_step(struct json_writer *w, const struct gguf_pre_step *step)
{
    switch (step->kind) {
    case GGUF_PRE_WORDS:
    case GGUF_PRE_BYTES: write_byte_level(w, step->kind == GGUF_PRE_WORDS); return;
    case GGUF_PRE_SPLIT:
        write_type(w, "Split");
        write_pattern(w, "Regex", step->pattern);
        json_write_member_cstr(w, "behavior", "Isolated");
        json_write_member_bool(w, "invert", false);
        break;
    case GGUF_PRE_PUNCTUATION:
        write_type(w, "Punctuation");
        json_write_member_cstr(w, "behavior", "Contiguous");
        break;
    default:
        write_type(w, "Digits");
        json_write_member_bool(w, "individual_digits", step->kind == GGUF_PRE_DIGITS_EACH);
    }
    json_write_object_end(w);
}

static void write_pre_tokenizer(struct json_writer *w, const struct gguf_source *s)
{
    json_write_key(w, "pre_tokenizer");
    if (s->model != GGUF_MODEL_GPT2) {
        json_write_null(w);
        return;
    }
    write_type(w, "Sequence");
    json_write_key(w, "pretokenizers");
    json_write_array_begin(w);
    for (size_t i = 0; i < GGUF_PRE_STEPS_MAX && s->pre->steps[i].kind != GGUF_PRE_END; i++) {
        write_step(w, &s->pre->steps[i]);
    }
    json_write_array_end(w);
    json_write_object_end(w);
}

static void write_decoder(struct json_writer *w, const struct gguf_source *s)
{
    json_write_key(w, "decoder");
    if (s->model == GGUF_MODEL_GPT2) {
        write_byte_level(w, false);
        return;
    }
    write_type(w, "Sequence");
    json_write_key(w, "decoders");
    json_write_array_begin(w);
    write_replace(w, SPACE_MARK, " ");
    write_type(w, "ByteFallback");
    json_write_object_end(w);
    write_type(w, "Fuse");
    json_write_object_end(w);
    if (s->add_space_prefix) {
        write_type(w, "Strip");
        json_write_member_cstr(w, "content", " ");
        json_write_key(w, "start");
        json_write_u64(w, 1);
        json_write_key(w, "stop");
        json_write_u64(w, 0);
        json_write_object_end(w);
    }
    json_write_array_end(w);
    json_write_object_end(w);
}

static void write_template_piece(struct json_writer *w, const char *kind, const char *id)
{
    json_write_object_begin(w);
    json_write_key(w, kind);
    json_write_object_begin(w);
    json_write_member_cstr(w, "id", id);
    json_write_object_end(w);
    json_write_object_end(w);
}

static void write_template_token(struct json_writer *w, const char *name, int64_t id)
{
    json_write_key(w, name);
    json_write_object_begin(w);
    json_write_key(w, "ids");
    json_write_array_begin(w);
    json_write_i64(w, id);
    json_write_array_end(w);
    json_write_object_end(w);
}

static void write_post_processor(struct json_writer *w, const struct gguf_source *s)
{
    json_write_key(w, "post_processor");
    write_type(w, "TemplateProcessing");
    json_write_key(w, "single");
    json_write_array_begin(w);
    if (s->add_bos) {
        write_template_piece(w, "SpecialToken", "bos");
    }
    write_template_piece(w, "Sequence", "A");
    if (s->add_eos) {
        write_template_piece(w, "SpecialToken", "eos");
    }
    json_write_array_end(w);
    json_write_key(w, "special_tokens");
    json_write_object_begin(w);
    write_template_token(w, "bos", s->bos_id);
    write_template_token(w, "eos", s->eos_id);
    json_write_object_end(w);
    json_write_object_end(w);
}

static bool strips_right(const struct gguf_source *s, struct str token)
{
    return s->strips_right && !str_eq(token, STR("<unk>")) && !str_eq(token, STR("<s>")) &&
           !str_eq(token, STR("<|endoftext|>"));
}

// Control tokens, the unknown token, and those that their users have added.
static void write_added_tokens(struct json_writer *w, const struct gguf_source *s)
{
    struct str items = s->tokens->bytes;
    json_write_key(w, "added_tokens");
    json_write_array_begin(w);
    for (uint64_t id = 0; id < s->tokens->n_items; id++) {
        struct str token = gguf_next_str(&items);
        int64_t type = type_of(s, id);
        bool is_special = type == TOKEN_CONTROL || type == TOKEN_UNKNOWN;
        if (token.len == 0 || (!is_special && type != TOKEN_USER_DEFINED)) {
            continue;
        }
        json_write_object_begin(w);
        json_write_key(w, "id");
        json_write_u64(w, id);
        json_write_key(w, "content");
        json_write_str(w, token);
        json_write_member_bool(w, "single_word", false);
        json_write_member_bool(w, "lstrip", false);
        json_write_member_bool(w, "rstrip", strips_right(s, token));
        json_write_member_bool(w, "normalized", false);
        json_write_member_bool(w, "special", is_special);
        json_write_object_end(w);
    }
    json_write_array_end(w);
}

void gguf_write_document(const struct gguf_source *s, struct strbuf *out)
{
    struct json_writer writer, *w = &writer;
    json_writer_init(w, out);
    json_write_object_begin(w);
    write_normalizer(w, s);
    write_pre_tokenizer(w, s);
    write_decoder(w, s);
    write_post_processor(w, s);
    write_added_tokens(w, s);
    json_write_object_end(w);
}
