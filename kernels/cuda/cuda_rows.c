// Operations on rows: embeddings, norms, gated units, gathers, and the experts' choice and sums.
#include "kernels/cuda/cuda_backend.h"

#include <string.h>

void cuda_embed(struct backend *b, const struct op_embed *op)
{
    struct cuda_backend *cuda = cuda_of(b);
    if (op->n_rows > 0) {
        bool is_there = op->token_ids == cuda->step.token_ids;
        const int32_t *ids =
            is_there ? cuda->step.device_token_ids : stage_copy(&cuda->stage, op->token_ids, op->n_rows * sizeof(*ids));
        gpu_embed(queue_of(cuda), op, &op->table->gpu, ids, cuda->draws.results);
    }
}

void cuda_rms_norm(struct backend *b, const struct op_rms_norm *op)
{
    if (op->n_rows > 0) {
        gpu_rms_norm(queue_of(cuda_of(b)), op);
    }
}

void cuda_glu(struct backend *b, const struct op_glu *op)
{
    if (op->n_rows * op->dim > 0) {
        gpu_glu(queue_of(cuda_of(b)), op);
    }
}

void cuda_softcap(struct backend *b, const struct op_softcap *op)
{
    if (op->n > 0) {
        gpu_softcap(queue_of(cuda_of(b)), op);
    }
}

void cuda_gather(struct backend *b, const struct op_gather *op)
{
    struct cuda_backend *cuda = cuda_of(b);
    if (op->n_rows > 0) {
        bool is_there = op->rows == cuda->step.logit_rows;
        gpu_gather(queue_of(cuda), op,
                   is_there ? cuda->step.device_logit_rows
                            : stage_copy(&cuda->stage, op->rows, op->n_rows * sizeof(*op->rows)));
    }
}

void cuda_route(struct backend *b, const struct op_route *op)
{
    struct cuda_backend *cuda = cuda_of(b);
    size_t n = op->n_rows * op->n_used;
    if (n == 0) {
        return;
    }
    uint32_t *experts = stage_take(&cuda->stage, n * (sizeof(*op->experts) + sizeof(*op->weights)));
    unsigned char *device = cuda->stage.device + ((unsigned char *)experts - cuda->stage.host);
    float *weights = (float *)(device + n * sizeof(*op->experts));
    gpu_route(queue_of(cuda), op, (uint32_t *)device, weights);
    gpu_download(cuda->gpu, experts, device, n * (sizeof(*op->experts) + sizeof(*op->weights)));
    memcpy(op->experts, experts, n * sizeof(*op->experts));
    memcpy(op->weights, experts + n, n * sizeof(*op->weights));
}

void cuda_combine(struct backend *b, const struct op_combine *op)
{
    struct cuda_backend *cuda = cuda_of(b);
    size_t n = op->n_rows * op->n_used;
    if (n == 0) {
        return;
    }
    uint32_t *rows = stage_take(&cuda->stage, n * (sizeof(*op->rows) + sizeof(*op->weights)));
    memcpy(rows, op->rows, n * sizeof(*op->rows));
    memcpy(rows + n, op->weights, n * sizeof(*op->weights));
    const uint32_t *device = stage_send(&cuda->stage, rows, n * (sizeof(*op->rows) + sizeof(*op->weights)));
    gpu_combine(queue_of(cuda), op, device, (const float *)(device + n));
}
