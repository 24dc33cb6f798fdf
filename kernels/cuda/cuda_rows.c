// Operations on rows: embeddings, norms, gated units, gathers.
#include "kernels/cuda/cuda_backend.h"

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
