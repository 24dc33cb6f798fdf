// Carries out AMX's instructions where the processor has none: they raise SIGILL, whose handler decodes them and has
// the model (tile_model.h) do their work. So the very code that runs where there is AMX runs here, slowly.
#ifndef TOKFS_TESTS_KERNELS_TILE_TRAP_H
#define TOKFS_TESTS_KERNELS_TILE_TRAP_H

#include <stdint.h>

void tile_trap_install(void);
uint64_t tile_trap_count(void); // instructions carried out so far

#endif
