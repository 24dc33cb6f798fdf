// The quantization_config of a config.json: of which type projections are, and what one of their scales is for.
#ifndef TOKFS_MODEL_CONFIG_QUANTIZATION_H
#define TOKFS_MODEL_CONFIG_QUANTIZATION_H

#include "engine/model/config_reader.h"
#include "engine/model/family.h"

// Sets FEATURE_F8 and `f8` where the field asks for it. -EINVAL, -EOPNOTSUPP: err names what is not taken.
int config_quantization_parse(const struct config_reader *r, const struct family *family, struct model_config *c);

#endif
