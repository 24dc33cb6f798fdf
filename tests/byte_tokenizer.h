// A tokenizer whose tokens are the 256 bytes, and <s> (256), which it puts before a text, and </s> (257), and special
// tokens from 258 on: ids that a test can write down.
#ifndef TOKFS_TESTS_BYTE_TOKENIZER_H
#define TOKFS_TESTS_BYTE_TOKENIZER_H

#include "engine/base/json.h"
#include "engine/text/byte_level.h"
#include "engine/text/tokenizer.h"
#include <assert.h>
#include <stdio.h>

// `specials`: their texts, NULL at the end.
static inline struct tokenizer *byte_tokenizer_new_with(const char *const *specials)
{
    static const char rest[] =
        "\"merges\":[]},\"normalizer\":null,\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,"
        "\"trim_offsets\":true,\"use_regex\":false},\"decoder\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,"
        "\"trim_offsets\":true,\"use_regex\":false},\"post_processor\":{\"type\":\"TemplateProcessing\","
        "\"single\":[{\"SpecialToken\":{\"id\":\"<s>\",\"type_id\":0}},{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}],"
        "\"pair\":[{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},{\"Sequence\":{\"id\":\"B\",\"type_id\":1}}],"
        "\"special_tokens\":{\"<s>\":{\"id\":\"<s>\",\"ids\":[256],\"tokens\":[\"<s>\"]}}},\"added_tokens\":["
        "{\"id\":256,\"content\":\"<s>\",\"special\":true,\"normalized\":false,\"lstrip\":false,\"rstrip\":false,"
        "\"single_word\":false},{\"id\":257,\"content\":\"</s>\",\"special\":true,\"normalized\":false,\"lstrip\":"
        "false,\"rstrip\":false,\"single_word\":false}";
    struct tokenizer *tok = NULL;
    struct strbuf json, written;
    struct json_writer w;
    struct err err;
    strbuf_init(&json, 0);
    strbuf_init(&written, 0);
    strbuf_append(&json, STR("{\"version\":\"1.0\",\"model\":{\"type\":\"BPE\",\"vocab\":"));
    json_writer_init(&w, &json);
    json_write_object_begin(&w);
    for (int i = 0; i < 256; i++) {
        char byte = (char)i;
        strbuf_reset(&written);
        byte_level_append_written(&written, (struct str){ &byte, 1 });
        json_write_key_str(&w, strbuf_str(&written));
        json_write_i64(&w, i);
    }
    json_write_object_end(&w);
    strbuf_append_byte(&json, ',');
    strbuf_append(&json, str_from(rest));
    for (int i = 0; specials[i]; i++) {
        strbuf_printf(&json,
                      ",{\"id\":%d,\"content\":\"%s\",\"special\":true,\"normalized\":false,\"lstrip\":false,"
                      "\"rstrip\":false,\"single_word\":false}",
                      258 + i, specials[i]);
    }
    strbuf_append(&json, STR("]}"));
    int rc = tokenizer_from_json(strbuf_str(&json), &tok, &err);
    if (rc < 0) {
        fprintf(stderr, "%s\n", err.msg);
    }
    assert(rc == 0);
    strbuf_deinit(&json);
    strbuf_deinit(&written);
    return tok;
}

static inline struct tokenizer *byte_tokenizer_new(void)
{
    static const char *const none[] = { NULL };
    return byte_tokenizer_new_with(none);
}

#endif
