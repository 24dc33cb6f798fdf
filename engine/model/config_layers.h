// What the layers of a model differ in: a window, rotation, experts.
#ifndef TOKFS_MODEL_CONFIG_LAYERS_H
#define TOKFS_MODEL_CONFIG_LAYERS_H

#include "engine/model/config.h"
#include "engine/model/config_reader.h"
#include "engine/model/family.h"

// Fills ret->window and ret->layers; n_layers and n_ctx_max are known.
int config_layers_parse(const struct config_reader *r, const struct family *family, struct model_config *ret);

#endif
