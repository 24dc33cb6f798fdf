// The sampler's inner loops over one block of logits, compiled once per instruction set: included by sampler.c with
// BODY_NAME(name) and BODY_TARGET defined. Vectors have 16 lanes whatever the processor's width (the compiler splits
// them) and nothing is contracted or reordered, so that every instruction set gives the same bits.

// Lane by lane the larger one; *max where v is not a number. (By address: whole vectors are passed differently to each
// instruction set.)
BODY_TARGET static inline void BODY_NAME(raise)(lanes *max, const lanes *v)
{
    lanes_i32 is_more = *v > *max;
    *max = (lanes)(((lanes_i32)*v & is_more) | ((lanes_i32)*max & ~is_more));
}

BODY_TARGET static inline float BODY_NAME(largest)(lanes *max)
{
    lanes v = __builtin_shufflevector(*max, *max, 8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15);
    BODY_NAME(raise)(max, &v);
    v = __builtin_shufflevector(*max, *max, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7);
    BODY_NAME(raise)(max, &v);
    v = __builtin_shufflevector(*max, *max, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3);
    BODY_NAME(raise)(max, &v);
    return (*max)[0] > (*max)[1] ? (*max)[0] : (*max)[1];
}

// -inf where there is nothing but what is not a number.
BODY_TARGET static float BODY_NAME(block_max)(const float *x)
{
    lanes max = (lanes){ 0 } - INFINITY, v;
    for (int i = 0; i < BLOCK; i += 16) {
        memcpy(&v, x + i, sizeof(v));
        BODY_NAME(raise)(&max, &v);
    }
    return BODY_NAME(largest)(&max);
}

// The maxima of blocks from those of their halves; returns the largest.
BODY_TARGET static float BODY_NAME(join_maxima)(const float *maxima, size_t n, float *block_max)
{
    static_assert(BLOCK_MAXIMA == 2, "two halves");
    lanes max = (lanes){ 0 } - INFINITY, a, b;
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        memcpy(&a, maxima + i, sizeof(a));
        memcpy(&b, maxima + i + 16, sizeof(b));
        lanes even = __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
        lanes odd = __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
        BODY_NAME(raise)(&even, &odd);
        memcpy(block_max + i / 2, &even, sizeof(even));
        BODY_NAME(raise)(&max, &even);
    }
    float most = BODY_NAME(largest)(&max);
    for (; i < n; i += 2) {
        float other = i + 1 < n ? maxima[i + 1] : -INFINITY;
        block_max[i / 2] = maxima[i] > other ? maxima[i] : other;
        most = block_max[i / 2] > most ? block_max[i / 2] : most;
    }
    return most;
}

// w[i] = exp((x[i] - max) * scale) for x[i] <= max, 0 below exp(-87); returns their sum. Cody-Waite reduction by ln 2
// and a polynomial of degree 6 (Cephes' expf). Comparisons give masks instead of branches.
BODY_TARGET static double BODY_NAME(block_exp)(const float *x, float max, float scale, float *w)
{
    lanes sum = { 0 };
    for (int i = 0; i < BLOCK; i += 16) {
        lanes a;
        memcpy(&a, x + i, sizeof(a));
        a = (a - max) * scale;
        lanes_i32 keep = a > -87.0f;
        a = (lanes)((lanes_i32)a & keep);
        lanes n = a * 1.44269504088896341f + 12582912.0f; // 1.5 * 2^23: rounds to the nearest whole number
        lanes_i32 power = (((lanes_i32)n - 0x4B400000 + 127) << 23) & keep; // 2^n, or 0
        n -= 12582912.0f;
        lanes r = a - n * 0.693359375f + n * 2.12194440e-4f;
        lanes p = r * 1.9875691500e-4f + 1.3981999507e-3f;
        p = p * r + 8.3334519073e-3f;
        p = p * r + 4.1665795894e-2f;
        p = p * r + 1.6666665459e-1f;
        p = p * r + 5.0000001201e-1f;
        p = (p * r * r + r + 1.0f) * (lanes)power;
        memcpy(w + i, &p, sizeof(p));
        sum += p;
    }
    double total = 0;
    for (int lane = 0; lane < 16; lane++) {
        total += (double)sum[lane];
    }
    return total;
}

// Histogram bucket of each logit: how far below the maximum, DEPTH_STEPS buckets to the factor e, the last one for the
// rest.
BODY_TARGET static void BODY_NAME(block_buckets)(const float *x, float max, float scale, int32_t *bucket)
{
    for (int i = 0; i < BLOCK; i += 16) {
        lanes depth;
        memcpy(&depth, x + i, sizeof(depth));
        depth = (max - depth) * scale * (float)DEPTH_STEPS;
        lanes_i32 is_near = depth < (float)(N_BUCKETS - 1);
        depth = (lanes)((lanes_i32)depth & is_near);
        lanes_i32 idx = __builtin_convertvector(depth, lanes_i32) | (~is_near & (N_BUCKETS - 1));
        memcpy(bucket + i, &idx, sizeof(idx));
    }
}

// Whether any of them is `wanted`.
BODY_TARGET static bool BODY_NAME(block_has)(const int32_t *bucket, int32_t wanted)
{
    lanes_i32 any = { 0 };
    for (int i = 0; i < BLOCK; i += 16) {
        lanes_i32 v;
        memcpy(&v, bucket + i, sizeof(v));
        any |= v == wanted;
    }
    int32_t found = 0;
    for (int lane = 0; lane < 16; lane++) {
        found |= any[lane];
    }
    return found != 0;
}

// Takes the weight of logits below the cut, and of those equal to it behind place last_tie; returns the sum of the
// rest.
BODY_TARGET static double BODY_NAME(block_keep)(const float *x, float cut, int32_t last_tie, float *w)
{
    lanes_i32 place = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
    lanes sum = { 0 };
    for (int i = 0; i < BLOCK; i += 16) {
        lanes v, weight;
        memcpy(&v, x + i, sizeof(v));
        memcpy(&weight, w + i, sizeof(weight));
        lanes_i32 keep = (v > cut) | ((v == cut) & (place <= last_tie));
        weight = (lanes)((lanes_i32)weight & keep);
        memcpy(w + i, &weight, sizeof(weight));
        sum += weight;
        place += 16;
    }
    double total = 0;
    for (int lane = 0; lane < 16; lane++) {
        total += (double)sum[lane];
    }
    return total;
}
