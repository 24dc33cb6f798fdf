// Writes errors: the schema ErrorResponse of OpenAI's API description, with the HTTP status that each errno has.
#include "engine/text/chat_response.h"

#include <errno.h>
#include <string.h>

// How each errno looks over HTTP. `code` is OpenAI's machine-readable reason, NULL where it has none.
static const struct {
    int code;
    int http_status;
    const char *type;
    const char *reason;
} error_forms[] = {
    { -EINVAL, 400, "invalid_request_error", NULL },
    { -EOPNOTSUPP, 400, "invalid_request_error", "unsupported_parameter" },
    { -E2BIG, 400, "invalid_request_error", "context_length_exceeded" },
    { -ENOENT, 404, "invalid_request_error", "model_not_found" },
    { -EACCES, 403, "invalid_request_error", "permission_denied" },
    { -EPERM, 403, "invalid_request_error", "permission_denied" },
    { -EFBIG, 413, "invalid_request_error", "request_too_large" },
    { -EBUSY, 409, "invalid_request_error", "conflict" },
    { -EAGAIN, 429, "rate_limit_error", "queue_full" },
    { -EDQUOT, 429, "rate_limit_error", "rate_limit_exceeded" },
    { -ETIMEDOUT, 504, "server_error", "deadline_exceeded" },
    { -ECANCELED, 499, "server_error", "request_cancelled" },
    { -ESHUTDOWN, 503, "server_error", "shutting_down" },
    { -ENOMEM, 503, "server_error", "out_of_memory" },
};
static const size_t n_error_forms = sizeof(error_forms) / sizeof(error_forms[0]);

int chat_error_http_status(int code)
{
    for (size_t i = 0; i < n_error_forms; i++) {
        if (error_forms[i].code == code) {
            return error_forms[i].http_status;
        }
    }
    return 500;
}

// OpenAI's codes of what can be wrong with a value, by the words that its API and ours begin or go on with.
static const struct {
    const char *words;
    const char *reason;
} value_errors[] = {
    { "Missing required parameter", "missing_required_parameter" },
    { "Invalid type for", "invalid_type" },
    { "Invalid value", "invalid_value" },
    { "Unsupported value", "unsupported_value" },
    { ": integer above maximum value", "integer_above_max_value" },
    { ": integer below minimum value", "integer_below_min_value" },
    { ": decimal above maximum value", "decimal_above_max_value" },
    { ": decimal below minimum value", "decimal_below_min_value" },
    { ": string too long", "string_above_max_length" },
    { ": array too long", "array_above_max_length" },
    { ": empty array", "empty_array" },
};

static const char *find_reason(const char *msg, const char *otherwise)
{
    for (size_t i = 0; i < sizeof(value_errors) / sizeof(value_errors[0]); i++) {
        const char *at = strstr(msg, value_errors[i].words);

        if (at != NULL && (at == msg || *at == ':')) {
            return value_errors[i].reason;
        }
    }
    return otherwise;
}

void chat_error_write(struct strbuf *out, const struct err *err)
{
    const char *type = "server_error", *reason = "internal_error";
    struct json_writer w;

    for (size_t i = 0; i < n_error_forms; i++) {
        if (error_forms[i].code == err->code) {
            type = error_forms[i].type;
            reason = error_forms[i].reason;
        }
    }
    if (err->code == -EINVAL || err->code == -EOPNOTSUPP) {
        reason = find_reason(err->msg, reason);
    }
    json_writer_init(&w, out);
    json_write_object_begin(&w);
    json_write_key(&w, "error");
    json_write_object_begin(&w);
    json_write_key(&w, "message");
    json_write_cstr(&w, err->msg);
    json_write_key(&w, "type");
    json_write_cstr(&w, type);
    json_write_key(&w, "param");
    if (err->param[0] != 0) {
        json_write_cstr(&w, err->param);
    } else {
        json_write_null(&w);
    }
    json_write_key(&w, "code");
    if (reason != NULL) {
        json_write_cstr(&w, reason);
    } else {
        json_write_null(&w);
    }
    json_write_object_end(&w);
    json_write_object_end(&w);
}
