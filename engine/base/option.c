// Pure, but for option_refused, which asks what getopt left.
#include "engine/base/option.h"

#include "engine/base/str.h"
#include <errno.h>
#include <getopt.h>
#include <string.h>

const char *const option_devices[] = { "auto", "cpu", "cuda", NULL };
const char *const option_weights[] = { "stored", "q8", "q4", NULL };
const char *const option_kv_dtypes[] = { "auto", "f32", "f16", "bf16", "q8", NULL };
const char *const option_isas[] = { "scalar", "avx2", "avx2vnni", "avx512", "avx512vnni", "avx512bf16", "amx", NULL };

const char *option_shown(const char *value)
{
    return value[0] ? value : "''";
}

int option_text(const char *name, const char *value, const char **ret, struct err *err)
{
    if (!value[0]) {
        return err_set(err, -EINVAL, "--%s: the value is empty", name);
    }
    *ret = value;
    return 0;
}

int option_whole(const char *name, const char *value, int64_t min, int64_t max, int64_t *ret, struct err *err)
{
    int64_t n;
    if (str_parse_i64(str_from(value), &n) < 0 || n < min || n > max) {
        return err_set(err, -EINVAL, "--%s %s: a whole number from %lld to %lld is needed", name, option_shown(value),
                       (long long)min, (long long)max);
    }
    *ret = n;
    return 0;
}

int option_real(const char *name, const char *value, bool or_zero, double max, double *ret, struct err *err)
{
    double x;
    if (str_parse_double(str_from(value), &x) < 0 || x < 0 || (x == 0 && !or_zero) || x > max) {
        return err_set(err, -EINVAL, "--%s %s: a number %s 0, up to %.15g, is needed", name, option_shown(value),
                       or_zero ? "from" : "above", max);
    }
    *ret = x;
    return 0;
}

int option_bytes(const char *name, const char *value, uint64_t *ret, struct err *err)
{
    uint64_t n;
    if (str_parse_bytes(str_from(value), &n) < 0 || n == 0) {
        return err_set(err, -EINVAL, "--%s %s: a size like 512M or 4G is needed", name, option_shown(value));
    }
    *ret = n;
    return 0;
}

int option_choice(const char *name, const char *value, const char *const choices[], unsigned *ret_idx, struct err *err)
{
    struct strbuf list;
    for (unsigned i = 0; choices[i]; i++) {
        if (strcmp(choices[i], value) == 0) {
            if (ret_idx) {
                *ret_idx = i;
            }
            return 0;
        }
    }
    strbuf_init(&list, 0);
    for (unsigned i = 0; choices[i]; i++) {
        strbuf_printf(&list, "%s%s", i == 0 ? "" : choices[i + 1] ? ", " : " or ", choices[i]);
    }
    int rc = err_set(err, -EINVAL, "--%s %s: %s is needed", name, option_shown(value), list.error ? "" : list.ptr);
    strbuf_deinit(&list);
    return rc;
}

int option_refused(const char *program, int opt, char **argv, struct err *err)
{
    if (opt == '?' && optopt > 0 && optopt < 256) { // in a cluster of short ones
        return err_set(err, -EINVAL, "unknown option -%c; %s --help lists them", optopt, program);
    }
    if (opt == '?') {
        return err_set(err, -EINVAL, "unknown option %s; %s --help lists them", argv[optind - 1], program);
    }
    return opt == ':' ? err_set(err, -EINVAL, "option %s needs a value", argv[optind - 1]) : 0;
}
