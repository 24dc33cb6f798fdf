// From the runner's sequences and queue to the plain numbers that the policy sees, and from its plan to sequences.
#include "engine/serve/runner_plan.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define WINDOW_AGE_MAX_NS 20000000
// Of batch_tokens, for prompts beside answers. A quarter: rows cost nearly alike, so the time between tokens falls with
// it; a prompt loses little, since a step of so many rows still uses each weight often enough.
#define PREFILL_SHARE 4

// Names the tokens up to the end of the block after the first n_computed ones, if a match may reach so far.
static uint64_t next_block(const struct runner *r, uint32_t root, const int32_t *tokens, uint32_t n_tokens,
                           uint32_t n_computed)
{
    uint32_t end = (n_computed / r->env.page_tokens + 1) * r->env.page_tokens;
    return root != 0 && end < n_tokens ? XXH3_64bits_withSeed(tokens, end * sizeof(*tokens), root) | 1 : 0;
}

// How much of a choice's timeline may come from the cache. The last token is to be run in any case, since its logits
// are wanted; so are the tokens before those of the prompt that are yet to be scored.
static uint32_t cacheable(const struct choice *choice, uint32_t n_tokens)
{
    bool is_scored = choice->is_scorer && !scores_are_complete(choice->scores);
    return is_scored ? scores_skippable(choice->scores) : n_tokens - 1;
}

static bool is_unheld(const struct runner *r, uint32_t page)
{
    return !radix_is_on_host(page) && r->pool.n_holders[page] == 0;
}

// What of a timeline without pages is cached. A page in the host tier takes one of the device, as one that is held from
// now on does; one that is to be copied is copied from where it is.
static void look_up(struct runner *r, const struct choice *choice, const int32_t *tokens, struct sched_seq *seq)
{
    uint32_t root = choice->completion->cache_root, n_most = cacheable(choice, seq->n_tokens);
    if (root == 0) {
        return;
    }
    struct sched_cached *cached = &seq->cached;
    cached->n_tokens = radix_match(&r->radix, root, tokens, n_most, r->match_pages);
    uint32_t n_whole = cached->n_tokens / r->env.page_tokens;
    for (uint32_t i = 0; i < n_whole; i++) {
        cached->n_unheld += radix_is_on_host(r->match_pages[i]) || is_unheld(r, r->match_pages[i]);
    }
    cached->is_tail_unheld = cached->n_tokens % r->env.page_tokens != 0 && is_unheld(r, r->match_pages[n_whole]);
    // Who computes for scores does not wait for what others compute.
    seq->next_block = n_most == seq->n_tokens - 1 ? next_block(r, root, tokens, seq->n_tokens, cached->n_tokens) : 0;
}

// As it will be when the step that runs is over. What that step computes is in no cache yet: others wait for it.
// Counting a sequence's own pages takes time; they matter only where a decode may find no page.
static struct sched_seq view_of(struct runner *r, const struct sequence *seq, bool is_short_of_pages)
{
    uint32_t root = seq->completion->cache_root;
    struct sched_seq view = { .n_tokens = seq->n_tokens + seq->is_drawing,
                              .n_computed = seq->n_computed + seq->n_issued,
                              .n_pages = seq->n_pages,
                              .is_decoding = seq->state == SEQUENCE_DECODE || seq->is_drawing,
                              .n_draft = seq->n_draft,
                              .priority = completion_priority(seq->completion),
                              .is_blocked = sequence_is_blocked(seq) || sequence_is_ending(seq) };
    if (seq->n_pages == 0 && !view.is_blocked) {
        look_up(r, seq->choice, seq->tokens, &view);
    } else if (seq->n_tokens - seq->n_computed > 1 && seq->state != SEQUENCE_DECODE) {
        view.next_block = next_block(r, root, seq->tokens, seq->n_tokens, seq->n_computed);
    }
    view.n_own = is_short_of_pages ? sequence_n_own_pages(seq) : 0;
    return view;
}

// Guesses for those that decode, as far as the step stays short of DRAFT_ROWS_MAX rows. Ahead there are none: they
// follow tokens that are not known yet.
static void guess(struct runner *r, bool is_ahead)
{
    size_t n_decoding = 0;
    for (uint32_t i = 0; i < r->n_active; i++) {
        r->active[i]->n_draft = 0;
        n_decoding += r->active[i]->state == SEQUENCE_DECODE;
    }
    if (is_ahead || !r->has_speculation || n_decoding == 0 || n_decoding != r->n_active || r->n_waiting > 0) {
        return;
    }
    size_t n_most = n_decoding < DRAFT_ROWS_MAX ? DRAFT_ROWS_MAX / n_decoding - 1 : 0;
    for (uint32_t i = 0; i < r->n_active && n_most > 0; i++) {
        struct sequence *seq = r->active[i];
        if (sequence_is_blocked(seq)) {
            continue;
        }
        uint32_t n = draft_length(&seq->draft_state);
        uint32_t n_room = seq->choice->n_tokens_max - seq->n_tokens - 1; // the one after the guesses is sampled too
        n = n < n_most ? n : (uint32_t)n_most;
        n = draft_find(seq->tokens, seq->n_tokens, n < n_room ? n : n_room, seq->draft);
        seq->n_draft = guide_count_allowed(&seq->guide, seq->draft, n);
    }
}

// Running sequences give way from the end of the list: the least urgent, then the youngest.
static void order_active(struct runner *r)
{
    for (uint32_t i = 1; i < r->n_active; i++) {
        struct sequence *seq = r->active[i];
        int64_t priority = completion_priority(seq->completion);
        uint32_t at = i;
        for (; at > 0 && completion_priority(r->active[at - 1]->completion) > priority; at--) {
            r->active[at] = r->active[at - 1];
        }
        r->active[at] = seq;
    }
}

// Looking through a long queue takes time: its window serves until it is nearly used up, or a moment old.
static bool is_window_good(const struct runner *r, uint64_t now_ns)
{
    return r->n_waiting > ADMISSION_WINDOW && r->admission.n >= ADMISSION_WINDOW / 4 &&
           now_ns - r->window_ns < WINDOW_AGE_MAX_NS;
}

static void fill_window(struct runner *r, uint64_t now_ns)
{
    struct admission *admission = &r->admission;
    for (uint32_t i = 0; i < r->n_active; i++) {
        r->tenants[i] = r->active[i]->completion->tenant;
    }
    admission_begin(admission, r->tenants, r->n_active);
    uint64_t arrival = 0;
    for (struct choice *choice = r->waiting_first; choice; choice = choice->next) {
        const struct tokfs_completion *c = choice->completion;
        if (choice->scores && !choice->is_scorer && !scores_are_complete(choice->scores)) {
            continue; // what it says is read together with them
        }
        uint64_t waited_ns = now_ns > c->accepted_ns ? now_ns - c->accepted_ns : 0;
        uint32_t tenant = c->tenant;
        admission_add(admission, &(struct admission_candidate){
                                     .ref = choice,
                                     .rank = admission_rank(completion_priority(c), waited_ns),
                                     .tenant = tenant,
                                     .served = admission_served_tokens(&r->served, tenant),
                                     .arrival = arrival++,
                                 });
    }
    for (size_t i = 0; i < admission->n; i++) {
        const struct choice *c = admission->candidates[i].ref;
        uint32_t root = c->completion->cache_root;
        admission->candidates[i].n_cached =
            root != 0 ? radix_match(&r->radix, root, c->prompt, cacheable(c, c->n_prompt + c->n_known), NULL) : 0;
    }
    admission_order(admission);
    r->window_ns = now_ns;
}

// Shows the scheduler those whose turn it is. Returns how many.
static size_t view_waiting(struct runner *r, uint64_t now_ns)
{
    if (r->n_idle == 0 || r->n_waiting == 0 || r->n_active >= r->batch_tokens) {
        return 0;
    }
    if (!is_window_good(r, now_ns)) {
        fill_window(r, now_ns);
    }
    size_t n = r->admission.n < r->n_idle ? r->admission.n : r->n_idle;
    for (size_t i = 0; i < n; i++) {
        const struct choice *c = r->admission.candidates[i].ref;
        r->sched_waiting[i] =
            (struct sched_seq){ .n_tokens = c->n_prompt + c->n_known, .priority = completion_priority(c->completion) };
        look_up(r, c, c->prompt, &r->sched_waiting[i]);
    }
    return n;
}

void runner_plan(struct runner *r, uint64_t now_ns, bool is_ahead)
{
    order_active(r);
    guess(r, is_ahead);
    uint32_t n_pages_free = r->pool.n_free + r->pool.n_cached;
    for (uint32_t i = 0; i < r->n_active; i++) {
        r->sched_active[i] = view_of(r, r->active[i], n_pages_free < r->n_active);
    }
    const struct sched_input input = {
        .active = r->sched_active,
        .waiting = r->sched_waiting,
        .n_active = r->n_active,
        .n_waiting = view_waiting(r, now_ns),
        .n_slots_free = r->n_idle,
        .n_pages_free = n_pages_free,
        .page_tokens = r->env.page_tokens,
        .batch_tokens = r->batch_tokens,
        .prefill_tokens = (r->batch_tokens + PREFILL_SHARE - 1) / PREFILL_SHARE,
    };
    scheduler_plan(&input, &r->plan);
}

// The items of waiting sequences become items of active ones.
static void admit_planned(struct runner *r, uint64_t now_ns)
{
    uint32_t n_active = r->n_active;
    struct choice *choices[ADMISSION_WINDOW]; // who is admitted leaves the window, and the others move up
    for (size_t i = 0; i < r->admission.n; i++) {
        choices[i] = r->admission.candidates[i].ref;
    }
    for (size_t i = 0; i < r->plan.n_items; i++) {
        struct sched_item *item = &r->plan.items[i];
        if (item->idx < n_active) {
            continue;
        }
        struct choice *choice = choices[item->idx - n_active];
        runner_admit(r, choice, now_ns);
        item->idx = r->n_active - 1;
        uint32_t n_cached = item->n_cached < choice->n_prompt ? item->n_cached : choice->n_prompt;
        choice->usage.cached_tokens = n_cached; // of the prompt
        r->stats.cached_tokens += n_cached;
    }
}

// One step: what was awaited by then is not known here, and the others might go on for long.
static bool is_to_sit_out(const struct sequence *seq)
{
    return !seq->has_sat_out && sequence_is_coming(seq);
}

// Who waits for pages on their way from the host sits out a step, if there is something else to do: they come
// meanwhile.
static void put_off_coming(struct runner *r)
{
    size_t n_kept = 0;
    for (size_t i = 0; i < r->plan.n_items; i++) {
        n_kept += !is_to_sit_out(r->active[r->plan.items[i].idx]);
    }
    if (n_kept == 0 || n_kept == r->plan.n_items) {
        return;
    }
    n_kept = 0;
    for (size_t i = 0; i < r->plan.n_items; i++) {
        struct sequence *seq = r->active[r->plan.items[i].idx];
        if (is_to_sit_out(seq)) {
            seq->has_sat_out = true;
        } else {
            r->plan.items[n_kept++] = r->plan.items[i];
        }
    }
    r->plan.n_items = n_kept;
}

void runner_apply_plan(struct runner *r, uint64_t now_ns)
{
    for (size_t i = 0; i < r->plan.n_preempted; i++) {
        sequence_give_pages(r->active[r->plan.preempted[i]]);
        r->stats.n_preempted++;
    }
    admit_planned(r, now_ns);
    for (size_t i = 0; i < r->plan.n_items; i++) {
        sequence_use_cache(r->active[r->plan.items[i].idx], r->plan.items[i].n_cached);
    }
    for (size_t i = 0; i < r->plan.n_items && r->radix.host; i++) {
        sequence_fetch_pages(r->active[r->plan.items[i].idx]);
    }
    for (size_t i = 0; i < r->plan.n_items; i++) {
        sequence_take_pages(r->active[r->plan.items[i].idx], r->plan.items[i].n_pages);
    }
    if (r->radix.host) {
        put_off_coming(r);
    }
}
