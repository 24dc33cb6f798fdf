// The streaming detokenizer: the tokenizer's decoder with its states kept between ids. tokenizer_decode is this, run to
// the end.
#include "engine/text/detokenizer.h"

#include "engine/text/tokenizer_internal.h"

#include <string.h>

#define STEP_BYTES_MAX (64u << 20) // steps that replace could let a token grow without end, one after the other

void detokenizer_init(struct detokenizer *d, const struct tokenizer *tok, bool skip_special)
{
    memset(d, 0, sizeof *d);
    d->tok = tok;
    d->skip_special = skip_special;
    for (size_t i = 0; i < DETOKENIZER_STEPS_MAX; i++) {
        strbuf_init(&d->steps[i].held, STEP_BYTES_MAX);
        strbuf_init(&d->steps[i].text, STEP_BYTES_MAX);
    }
}

void detokenizer_init_continued(struct detokenizer *d, const struct tokenizer *tok, bool skip_special)
{
    detokenizer_init(d, tok, skip_special);
    for (size_t i = 0; i < DETOKENIZER_STEPS_MAX; i++) {
        d->steps[i].is_past_start = true;
    }
}

void detokenizer_deinit(struct detokenizer *d)
{
    for (size_t i = 0; i < DETOKENIZER_STEPS_MAX; i++) {
        strbuf_deinit(&d->steps[i].held);
        strbuf_deinit(&d->steps[i].text);
    }
}

static bool is_kept(const struct detokenizer *d, int32_t id)
{
    size_t i = 0;
    while (i < d->n_kept && d->kept[i] != id) {
        i++;
    }
    return i < d->n_kept;
}

int detokenizer_push(struct detokenizer *d, int32_t id, struct strbuf *out)
{
    struct str form;
    bool is_skippable;
    if (!tokenizer_token_form(d->tok, id, &form, &is_skippable)) {
        return 0;
    }
    if (d->skip_special && is_skippable && !is_kept(d, id)) {
        return 0;
    }
    return decoder_push(&d->tok->decoder, d->steps, form, out);
}

int detokenizer_finish(struct detokenizer *d, struct strbuf *out)
{
    return decoder_finish(&d->tok->decoder, d->steps, out);
}
