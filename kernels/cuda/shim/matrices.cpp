// Matrix instructions of a warp, by their documented layouts: see gpu_nvcc.h.
#include "kernels/cuda/shim/grid.h"
#include "kernels/cuda/shim/scheduler.h"

#include <utility>

struct load_matrices {
    const uint16_t *row;
    uint32_t *r;
};

static void load(void *const args[32], bool is_transposed)
{
    for (size_t lane = 0; lane < 32; lane++) {
        for (size_t matrix = 0; matrix < 4; matrix++) {
            uint16_t pair[2];
            for (size_t i = 0; i < 2; i++) {
                size_t row = lane / 4, column = 2 * (lane % 4) + i;
                if (is_transposed) {
                    std::swap(row, column);
                }
                pair[i] = static_cast<struct load_matrices *>(args[matrix * 8 + row])->row[column];
            }
            static_cast<struct load_matrices *>(args[lane])->r[matrix] = (uint32_t)pair[0] | (uint32_t)pair[1] << 16;
        }
    }
}

static void act_load(void *const args[32])
{
    load(args, false);
}

static void act_load_transposed(void *const args[32])
{
    load(args, true);
}

static void load_matrices(uint32_t r[4], const void *row, shim_warp_fn *act)
{
    if ((uintptr_t)row % 16) {
        shim_fail("loads a matrix row that is not aligned");
    }
    struct load_matrices arg = { static_cast<const uint16_t *>(row), r };
    shim_warp(0xffffffffu, act, &arg);
}

void gpu_load_matrices(uint32_t r[4], const void *row)
{
    load_matrices(r, row, act_load);
}

void gpu_load_matrices_transposed(uint32_t r[4], const void *row)
{
    load_matrices(r, row, act_load_transposed);
}

struct mma {
    float *d;
    const uint32_t *a;
    uint32_t b[2];
    float (*f32)(uint16_t);
};

static void act_mma(void *const args[32])
{
    float a[16][16], b[16][8];
    for (size_t lane = 0; lane < 32; lane++) {
        const struct mma *m = static_cast<const struct mma *>(args[lane]);
        size_t group = lane / 4, column = 2 * (lane % 4);
        for (size_t i = 0; i < 2; i++) {
            for (size_t reg = 0; reg < 4; reg++) {
                a[group + reg % 2 * 8][column + reg / 2 * 8 + i] = m->f32((uint16_t)(m->a[reg] >> 16 * i));
            }
            for (size_t reg = 0; reg < 2; reg++) {
                b[column + reg * 8 + i][group] = m->f32((uint16_t)(m->b[reg] >> 16 * i));
            }
        }
    }
    for (size_t lane = 0; lane < 32; lane++) {
        float *d = static_cast<const struct mma *>(args[lane])->d;
        for (size_t i = 0; i < 4; i++) {
            size_t row = lane / 4 + i / 2 * 8, column = 2 * (lane % 4) + i % 2;
            float sum = d[i];
            for (size_t k = 0; k < 16; k++) {
                sum += a[row][k] * b[k][column];
            }
            d[i] = sum;
        }
    }
}

void shim_mma(float d[4], const uint32_t a[4], uint32_t b0, uint32_t b1, float (*f32)(uint16_t))
{
    struct mma arg = { d, a, { b0, b1 }, f32 };
    shim_warp(0xffffffffu, act_mma, &arg);
}
