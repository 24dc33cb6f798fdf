// What LDTILECFG reads: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, "Programming with Intel
// Advanced Matrix Extensions".
#ifndef TOKFS_KERNELS_CPU_TILE_CONFIG_H
#define TOKFS_KERNELS_CPU_TILE_CONFIG_H

#include <assert.h>
#include <stdint.h>

// Of a tile register, in palette 1, of which there are eight.
#define TILE_ROWS      16
#define TILE_ROW_BYTES 64

struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
};

static_assert(sizeof(struct tile_config) == 64, "as the processor reads it");

#endif
