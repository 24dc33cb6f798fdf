// The type MXFP4: groups of 32 four-bit floats (1 sign, 2 exponent and 1 mantissa bits) that share a power of two.
// OCP Microscaling Formats (MX) Specification 1.0.
#ifndef TOKFS_MODEL_MXFP4_H
#define TOKFS_MODEL_MXFP4_H

#include <stddef.h>
#include <stdint.h>

#define MXFP4_GROUP       32
#define MXFP4_GROUP_BYTES 16

// n_groups * 32 bf16 elements, exact; NaN where the scale is (255). The low half of a byte comes first.
void mxfp4_expand(const uint8_t *groups, const uint8_t *scales, size_t n_groups, uint16_t *bf16);

#endif
