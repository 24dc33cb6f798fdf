// Moves between the device and pinned memory, as the model of a GPU does them: in order, at random moments between
// issue and the time when they are awaited. Until then both destinations hold nonsense, and whoever writes a source is
// told, by the end of the program.
#ifndef TOKFS_KERNELS_CUDA_SHIM_MOVES_H
#define TOKFS_KERNELS_CUDA_SHIM_MOVES_H

#include <deque>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

class shim_moves
{
  public:
    shim_moves() : random(++n_made)
    {
        below(2);
    }

    uint64_t issue(void *to, const void *from, size_t bytes)
    {
        go_on();
        bool is_written = false; // by a move that waits: what is there now means nothing
        for (const struct move &m : waiting) {
            is_written |= overlaps(m.to, m.bytes, from, bytes);
        }
        waiting.push_back({ to, from, bytes, is_written ? 0 : XXH3_64bits(from, bytes), is_written });
        memset(to, 0xff, bytes);
        n_issued++;
        go_on();
        return n_issued;
    }

    // Some of them happen, or none.
    void go_on()
    {
        while (!waiting.empty() && below(3) == 0) {
            happen();
        }
    }

    void await(uint64_t number)
    {
        while (!waiting.empty() && n_issued - waiting.size() < number) {
            happen();
        }
    }

    void await_all()
    {
        await(n_issued);
    }

    // The device has failed.
    void forget()
    {
        waiting.clear();
    }

  private:
    struct move {
        void *to;
        const void *from;
        size_t bytes;
        uint64_t hash;
        bool has_no_hash;
    };
    std::deque<struct move> waiting;
    uint64_t n_issued = 0, random;
    static inline uint64_t n_made; // each is random in its own way

    size_t below(size_t n)
    {
        random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        return (size_t)(random >> 33) % n;
    }

    static bool overlaps(const void *a, size_t n_a, const void *b, size_t n_b)
    {
        uintptr_t x = reinterpret_cast<uintptr_t>(a), y = reinterpret_cast<uintptr_t>(b);
        return x < y + n_b && y < x + n_a;
    }

    void happen()
    {
        const struct move m = waiting.front();
        waiting.pop_front();
        if (!m.has_no_hash && XXH3_64bits(m.from, m.bytes) != m.hash) {
            fprintf(stderr, "shim: %zu bytes were changed before their move was awaited\n", m.bytes);
            abort();
        }
        memcpy(m.to, m.from, m.bytes);
    }
};

#endif
