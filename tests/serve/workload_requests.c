#include "tests/serve/workload_requests.h"

#include <assert.h>
#include <string.h>

uint32_t random_below(struct random *rnd, uint32_t n)
{
    rnd->state = rnd->state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((rnd->state >> 33) % n);
}

bool random_one_in(struct random *rnd, uint32_t n)
{
    return random_below(rnd, n) == 0;
}

// Continues a part of an earlier prompt with new tokens, which go round in a third of them: guesses are right there.
static void make_prompt(struct random *rnd, const struct workload_limits *limits, const int32_t *base, uint32_t n_base,
                        int32_t *ret, uint32_t *ret_n)
{
    uint32_t n_shared = n_base > 0 ? random_below(rnd, n_base + 1) : 0;
    uint32_t n_most = random_one_in(rnd, 8) ? limits->n_ctx - 1 : limits->n_ctx / (random_one_in(rnd, 3) ? 3 : 12);
    uint32_t n = n_shared + 1 + random_below(rnd, n_most);
    uint32_t period = random_one_in(rnd, 3) ? 1 + random_below(rnd, 12) : UINT32_MAX;
    n = n < limits->n_ctx ? n : limits->n_ctx - 1;
    n_shared = n_shared < n ? n_shared : n;
    memcpy(ret, base, n_shared * sizeof(*ret));
    for (uint32_t t = n_shared; t < n; t++) {
        ret[t] = t - n_shared < period ? (int32_t)random_below(rnd, limits->n_vocab) : ret[t - period];
    }
    *ret_n = n;
}

static void add_sampling(struct random *rnd, const struct workload_limits *limits, struct strbuf *out)
{
    static const char *const temperatures[] = { "0", "0", "0.5", "1", "1.7" };
    static const char *const cuts[] = { ",\"top_k\":20", ",\"top_p\":0.9", ",\"min_p\":0.02", ",\"typical_p\":0.8" };
    static const char *const penalties[] = { ",\"repetition_penalty\":1.3", ",\"frequency_penalty\":0.7",
                                             ",\"presence_penalty\":-0.4", ",\"repeat_penalty\":1.1" };
    strbuf_printf(out, ",\"temperature\":%s", temperatures[random_below(rnd, 5)]);
    if (random_one_in(rnd, 3)) {
        strbuf_append(out, str_from(cuts[random_below(rnd, 4)]));
    }
    if (random_one_in(rnd, 4)) {
        strbuf_append(out, str_from(penalties[random_below(rnd, 4)]));
    }
    if (random_one_in(rnd, 8)) {
        strbuf_printf(out, ",\"logit_bias\":{\"%u\":5}", random_below(rnd, limits->n_vocab));
    }
}

static void add_end(struct random *rnd, const struct workload_limits *limits, struct strbuf *out)
{
    uint32_t max_tokens = random_one_in(rnd, 8) ? 0
                          : random_one_in(rnd, 12)
                              ? limits->n_ctx
                              : 1 + random_below(rnd, limits->n_answer_max * (random_one_in(rnd, 4) ? 3 : 1));
    strbuf_printf(out, ",\"max_tokens\":%u,\"ignore_eos\":%s", max_tokens, random_one_in(rnd, 3) ? "false" : "true");
    if (random_one_in(rnd, 5)) {
        strbuf_printf(out, ",\"min_tokens\":%u", random_below(rnd, max_tokens + 1));
    }
    if (random_one_in(rnd, 5)) {
        strbuf_printf(out, ",\"stop\":[\"%c\",\"e %c\"],\"include_stop_str_in_output\":%s",
                      'a' + (int)random_below(rnd, 26), 'a' + (int)random_below(rnd, 26),
                      random_one_in(rnd, 2) ? "true" : "false");
    }
    if (random_one_in(rnd, 6)) {
        strbuf_printf(out, ",\"stop_token_ids\":[%u,%u]", random_below(rnd, limits->n_vocab),
                      random_below(rnd, limits->n_vocab));
    }
}

// Beginnings that only one text continues are forced tokens. Letters and digits: the small vocabularies have no more.
static void add_form(struct random *rnd, struct strbuf *out)
{
    static const char *const forms[] = { "[A-Za-z]{4,40}", "Answer[0-9]{1,6}(Yes|No|Maybe)", "(yes|no|notAtAll)+",
                                         "([0-9]{3}abcdefgh)*" };
    strbuf_printf(out, ",\"guided_regex\":\"%s\"", forms[random_below(rnd, 4)]);
}

static void make_params(struct random *rnd, const struct workload_limits *limits, struct workload_request *r)
{
    struct strbuf out;
    strbuf_init(&out, sizeof(r->params));
    add_sampling(rnd, limits, &out);
    add_end(rnd, limits, &out);
    if (random_one_in(rnd, 6) && !strstr(out.ptr, "stop_token_ids")) { // these may leave nothing to say
        add_form(rnd, &out);
    }
    r->scores_prompt = random_one_in(rnd, 10);
    if (r->scores_prompt) {
        strbuf_printf(&out, ",\"prompt_logprobs\":%u", random_below(rnd, 4));
    }
    r->has_probs = random_one_in(rnd, 4);
    if (r->has_probs) {
        strbuf_printf(&out, ",\"logprobs\":%u", random_below(rnd, 6));
    }
    assert(out.error == 0 && out.len < sizeof(r->params));
    memcpy(r->params, out.ptr, out.len + 1);
    strbuf_deinit(&out);
}

void workload_requests_make(struct workload_request *requests, const struct workload_limits *limits, uint64_t seed)
{
    struct random rnd = { seed };
    assert(limits->n_ctx <= WORKLOAD_CTX_MAX);
    for (uint32_t i = 0; i < WORKLOAD_REQUESTS; i++) {
        struct workload_request *r = &requests[i];
        *r = (struct workload_request){ .n_prompts = random_one_in(&rnd, 10) ? WORKLOAD_PROMPTS_MAX : 1,
                                        .n = random_one_in(&rnd, 6) ? 1 + random_below(&rnd, WORKLOAD_N_MAX) : 1,
                                        .seed = random_below(&rnd, 1000) };
        for (uint32_t p = 0; p < r->n_prompts; p++) {
            const struct workload_request *base = &requests[i > 0 ? random_below(&rnd, i) : 0];
            make_prompt(&rnd, limits, base->prompts[0], base->n_prompt[0], r->prompts[p], &r->n_prompt[p]);
        }
        make_params(&rnd, limits, r);
    }
}

static void write_ids(const int32_t *ids, uint32_t n, struct strbuf *ret)
{
    for (uint32_t i = 0; i < n; i++) {
        strbuf_printf(ret, "%c%d", i == 0 ? '[' : ',', ids[i]);
    }
    strbuf_append_byte(ret, ']');
}

void workload_request_write(const struct workload_request *request, const char *more, struct strbuf *ret)
{
    strbuf_reset(ret);
    strbuf_append(ret, STR("{\"prompt\":["));
    for (uint32_t p = 0; p < request->n_prompts; p++) {
        strbuf_append(ret, p > 0 ? STR(",") : STR(""));
        write_ids(request->prompts[p], request->n_prompt[p], ret);
    }
    strbuf_printf(ret, "],\"n\":%u,\"seed\":%u%s%s}", request->n, request->seed, request->params, more);
    assert(ret->error == 0);
}

void workload_request_write_choice(const struct workload_request *request, uint32_t idx, struct strbuf *ret)
{
    uint32_t prompt = idx / request->n;
    strbuf_reset(ret);
    strbuf_append(ret, STR("{\"prompt\":"));
    write_ids(request->prompts[prompt], request->n_prompt[prompt], ret);
    strbuf_printf(ret, ",\"seed\":%u%s}", request->seed + idx % request->n, request->params);
    assert(ret->error == 0);
}
