// A fuzz target defines LLVMFuzzerTestOneInput and the inputs that mutation starts from. clang links it with libFuzzer;
// any compiler links it with driver.c, which runs a bounded number of mutations as a unit test.
#ifndef TOKFS_TESTS_FUZZ_FUZZ_H
#define TOKFS_TESTS_FUZZ_FUZZ_H

#include "engine/base/str.h"

extern const struct str fuzz_seeds[]; // ends with an entry whose ptr is NULL
// Whole words of the language, put in by mutations; ends as fuzz_seeds does.
extern const struct str fuzz_words[];

// Returns 0; aborts when a property is violated.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
