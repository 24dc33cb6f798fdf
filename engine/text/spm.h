// The sentencepiece model of GGUF files: a vocabulary with scores instead of ranked merges.
#ifndef TOKFS_TEXT_SPM_H
#define TOKFS_TEXT_SPM_H

#include "engine/text/tokenizer.h"
#include "engine/text/vocab.h"

struct spm {
    const struct vocab_map *vocab; // written tokens; borrowed
    float *scores;                 // by id; owned, NULL: there is no such model
    const int32_t *byte_ids;       // [256] of <0xNN>, -1: none; borrowed
    int32_t unk_id;                // -1: none
};

// Working memory of spm_encode; zero-initialised, kept between calls, one per thread of execution.
struct spm_scratch {
    struct spm_symbol {
        uint32_t at, len;    // bytes of the piece; len 0: merged into its left neighbour
        uint32_t prev, next; // neighbours' indices, SPM_NONE at the ends
        int32_t id;          // -1: not a token
    } * symbols;
    size_t n_symbols, symbols_cap;
    struct spm_pair {
        uint64_t order; // the better the score, and then the further left, the smaller
        uint32_t len;   // of both together
        int32_t id;
    } * heap;
    size_t heap_len, heap_cap;
};
void spm_scratch_deinit(struct spm_scratch *scratch);

// Appends the ids of one piece of well-formed UTF-8. 0 or -ENOMEM.
int spm_encode(const struct spm *spm, struct spm_scratch *scratch, struct str piece, struct token_ids *out);
void spm_deinit(struct spm *spm);

#endif
