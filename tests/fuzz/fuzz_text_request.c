// Any bytes as a request of v1/completions, tokenize, detokenize or apply-template: taken, in a form that can be worked
// on, or refused with an errno of the interface and a reason.
#include "engine/text/generate_request.h"
#include "engine/text/text_request.h"
#include "tests/fuzz/fuzz.h"
#include <assert.h>
#include <errno.h>

const struct str fuzz_seeds[] = {
    STR("{\"prompt\":\"hi\",\"max_tokens\":0,\"echo\":true,\"n\":2,\"best_of\":2,\"stop\":[\"a\"]}"),
    STR("{\"prompt\":[[1,2],[3]],\"logprobs\":5,\"stream\":true,\"stream_options\":{\"include_usage\":true}}"),
    STR("{\"prompt\":[\"a\",\"b\"],\"cache_salt\":\"s\",\"suffix\":\"\"}"),
    STR("{\"content\":\"hi\",\"add_special\":true,\"parse_special\":false,\"with_pieces\":true}"),
    STR("{\"messages\":[{\"role\":\"user\"}],\"chat_template\":\"t\",\"chat_template_kwargs\":{},\"tools\":[{}]}"),
    STR("{\"tokens\":[1,2,3]}"),
    STR("{\"conversations\":[[{\"role\":\"user\"}],[]],\"return_assistant_tokens_mask\":true,\"template_vars\":{},"
        "\"documents\":[{}],\"continue_final_message\":false}"),
    { NULL, 0 },
};

const struct str fuzz_words[] = {
    STR("\"prompt\":"),   STR("\"tokens\":"),  STR("\"conversations\":"),
    STR("\"messages\":"), STR("\"content\":"), STR("[[1]]"),
    STR("[\"a\"]"),       STR("[{}]"),         STR("\"n\":3"),
    STR("null"),          STR("{}"),           { NULL, 0 },
};

static int checked(int rc, struct err *err)
{
    assert(rc == 0 || rc == -EINVAL || rc == -EOPNOTSUPP || rc == -ENOMEM);
    assert(rc == 0 || (err->code == rc && err->msg[0] != 0));
    *err = (struct err){ 0 };
    return rc;
}

static void check_prompts(const struct completion_request *request)
{
    const struct json *prompt = NULL;
    assert(request->n >= 1 && request->prompts.n * (size_t)request->n <= COMPLETION_CHOICES_MAX);
    for (size_t i = 0; i < request->prompts.n; i++) {
        prompt = prompts_next(&request->prompts, prompt);
        assert(prompt->type == JSON_STRING || prompt->type == JSON_ARRAY);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str body = { (const char *)data, size };
    struct completion_request completion;
    struct tokenize_request tokenize;
    struct detokenize_request detokenize;
    struct template_request template;
    struct arena arena;
    struct err err = { 0 };
    bool is_chat;
    arena_init(&arena, 64 << 20);
    if (checked(completion_request_parse(&arena, body, NULL, &completion, &err), &err) == 0) {
        check_prompts(&completion);
    }
    if (checked(generate_request_parse(&arena, body, NULL, &completion, &err), &err) == 0) {
        check_prompts(&completion);
    }
    if (checked(tokenize_request_parse(&arena, body, &tokenize, &err), &err) == 0) {
        assert((tokenize.messages == NULL) == (tokenize.text.ptr != NULL));
    }
    if (checked(detokenize_request_parse(&arena, body, &detokenize, &err), &err) == 0) {
        assert(detokenize.tokens->type == JSON_ARRAY);
    }
    if (checked(template_request_parse(&arena, body, &template, &is_chat, &err), &err) == 0 && !is_chat) {
        assert(template.conversations->type == JSON_ARRAY);
    }
    arena_deinit(&arena);
    return 0;
}
