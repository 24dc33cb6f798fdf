// Philox4x32-10: a counter-based random generator. A number is a function of (key, counter), with no state to keep.
// J. K. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
#ifndef TOKFS_SERVE_PHILOX_H
#define TOKFS_SERVE_PHILOX_H

#include <stdint.h>

struct philox_block {
    uint32_t word[4];
};

static inline struct philox_block philox_round(struct philox_block ctr, uint32_t key0, uint32_t key1)
{
    uint64_t p0 = (uint64_t)0xD2511F53u * ctr.word[0];
    uint64_t p1 = (uint64_t)0xCD9E8D57u * ctr.word[2];
    return (struct philox_block){ {
        (uint32_t)(p1 >> 32) ^ ctr.word[1] ^ key0,
        (uint32_t)p1,
        (uint32_t)(p0 >> 32) ^ ctr.word[3] ^ key1,
        (uint32_t)p0,
    } };
}

static inline struct philox_block philox(struct philox_block ctr, uint32_t key0, uint32_t key1)
{
    for (int round = 0; round < 10; round++) {
        ctr = philox_round(ctr, key0, key1);
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    return ctr;
}

// Uniform in [0, 1), 53 bits: draw number `pos` of stream `seed`.
static inline double philox_uniform(uint64_t seed, uint64_t pos)
{
    struct philox_block ctr = { { (uint32_t)pos, (uint32_t)(pos >> 32), 0, 0 } };
    struct philox_block out = philox(ctr, (uint32_t)seed, (uint32_t)(seed >> 32));
    uint64_t bits = (uint64_t)out.word[1] << 32 | out.word[0];
    return (double)(bits >> 11) * 0x1p-53;
}

#endif
