// A row per shape.
#include "tools/model/random_shapes.h"

#include "engine/base/option.h"
#include "engine/model/config.h"
#include <stddef.h>

static const struct random_shape shapes[] = {
    // Llama-3.2-1B, Llama-3.1-8B, Qwen2.5-0.5B, Qwen3-0.6B, Gemma-2-2B, stories15M (with a longer context), and one
    // for tests
    { "llama-1b", "LlamaForCausalLM", "llama", 128256, 2048, 8192, 16, 32, 8, 64, 131072, true, 1e-5, 500000, 32 },
    { "llama-8b", "LlamaForCausalLM", "llama", 128256, 4096, 14336, 32, 32, 8, 128, 131072, false, 1e-5, 500000, 8 },
    { "qwen-0.5b", "Qwen2ForCausalLM", "qwen2", 151936, 896, 4864, 24, 14, 2, 64, 32768, true, 1e-6, 1000000, 0 },
    { "qwen3-0.6b", "Qwen3ForCausalLM", "qwen3", 151936, 1024, 3072, 28, 16, 8, 128, 40960, true, 1e-6, 1000000, 0 },
    { "gemma2-2b", "Gemma2ForCausalLM", "gemma2", 256000, 2304, 9216, 26, 8, 4, 256, 8192, true, 1e-6, 10000, 0 },
    { "llama-15m", "LlamaForCausalLM", "llama", 32000, 288, 768, 6, 6, 6, 48, 2048, true, 1e-5, 10000, 0 },
    { "tiny", "LlamaForCausalLM", "llama", 1000, 64, 160, 2, 4, 2, 16, 2048, true, 1e-5, 10000, 0 },
};
#define N_SHAPES (sizeof(shapes) / sizeof(*shapes))

const char *const random_dtype_names[] = { [DTYPE_F32] = "f32", [DTYPE_F16] = "f16", [DTYPE_BF16] = "bf16", NULL };

int random_shape_find(const char *name, const struct random_shape **ret, struct err *err)
{
    const char *names[N_SHAPES + 1];
    unsigned i = 0;
    for (; i < N_SHAPES; i++) {
        names[i] = shapes[i].name;
    }
    names[i] = NULL;
    int rc = option_choice("shape", name, names, &i, err);
    if (rc == 0) {
        *ret = &shapes[i];
    }
    return rc;
}
