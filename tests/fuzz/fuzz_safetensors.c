// Properties of the safetensors reader on any header: it refuses with a reason, or every byte of data belongs to
// exactly one tensor and reading gives each byte once.
//
// The input is the header; its length goes before it and 64 bytes of data behind it. An input that begins with '#' is
// the rest of a whole file instead.
#include "engine/model/safetensors.h"
#include "tests/fuzz/fuzz.h"
#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DATA_BYTES 64

const struct str fuzz_seeds[] = {
    STR("{\"__metadata__\":{\"format\":\"pt\"},\"a\":{\"dtype\":\"F32\",\"shape\":[2,4],\"data_offsets\":[0,32]},"
        "\"b\":{\"dtype\":\"BF16\",\"shape\":[8],\"data_offsets\":[32,48]},"
        "\"c\":{\"dtype\":\"I64\",\"shape\":[2],\"data_offsets\":[48,64]}}"),
    STR("{\"a\":{\"dtype\":\"F16\",\"shape\":[0,4],\"data_offsets\":[0,0]},"
        "\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
        "\"c\":{\"dtype\":\"F16\",\"shape\":[31,1],\"data_offsets\":[1,63]},"
        "\"d\":{\"dtype\":\"BOOL\",\"shape\":[],\"data_offsets\":[63,64]}}  "),
    STR("{\"a.weight\":{\"dtype\":\"F8_E4M3\",\"shape\":[4,14],\"data_offsets\":[0,56]},"
        "\"a.weight_scale_inv\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[56,64]}}"),
    STR("#\x02\0\0\0\0\0\0\0{}"),
    { NULL, 0 },
};

const struct str fuzz_words[] = {
    STR("0"),          STR("1"),    STR("32"),     STR("64"),      STR("-1"),     STR("18446744073709551616"),
    STR("4294967296"), STR("[]"),   STR("[0,64]"), STR("\"F32\""), STR("\"F4\""), STR("\"a\":"),
    STR("\"shape\":"), STR("null"), STR("{}"),     STR("1.5"),     { NULL, 0 },
};

static char dir[] = "/tmp/tokfs-fuzz-XXXXXX", path[64]; // of this process

static void remove_dir(void)
{
    unlink(path);
    rmdir(dir);
}

static int count_bytes(void *ctx, const struct tensor_run *run, struct err *err)
{
    (void)err;
    uint64_t *total = ctx;
    *total += run->n_rows * (run->tensor->bytes / tensor_n_rows(run->tensor));
    return 0;
}

static void check(struct checkpoint *st)
{
    uint64_t total = 0, wanted = 0, all = 0;
    const struct tensor_info *last = NULL;
    for (size_t i = 0; i < checkpoint_n_tensors(st); i++) {
        struct tensor_info *t = checkpoint_tensor(st, i);
        assert(checkpoint_find(st, t->name) == t);
        assert(!last || t->offset == last->offset + last->bytes);
        t->is_used = t->is_loadable;
        wanted += t->is_used ? t->bytes : 0;
        all += t->bytes;
        last = t;
    }
    assert(!last || last->offset + last->bytes == checkpoint_file_bytes(st));
    assert(all < checkpoint_file_bytes(st));
    const struct tensor_read read = { count_bytes, NULL, &total };
    struct err err;
    assert(checkpoint_read(st, &read, &err) == 0);
    assert(total == wanted);
}

static void write_file(const uint8_t *data, size_t size)
{
    static const uint8_t zeros[DATA_BYTES];
    FILE *f = fopen(path, "w");
    assert(f);
    if (size > 0 && data[0] == '#') {
        fwrite(data + 1, 1, size - 1, f);
    } else {
        uint8_t prefix[8] = { (uint8_t)size, (uint8_t)(size >> 8), (uint8_t)(size >> 16), (uint8_t)(size >> 24) };
        fwrite(prefix, 1, 8, f);
        fwrite(data, 1, size, f);
        fwrite(zeros, 1, DATA_BYTES, f);
    }
    assert(fclose(f) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (path[0] == 0) {
        assert(mkdtemp(dir));
        snprintf(path, sizeof(path), "%s/model.safetensors", dir);
        atexit(remove_dir);
    }
    write_file(data, size);
    struct checkpoint *st;
    struct err err = { 0 };
    int rc = safetensors_open(dir, &st, &err);
    assert(rc == 0 ? err.code == 0 : rc == err.code && strstr(err.msg, "model.safetensors"));
    if (rc == 0) {
        check(st);
        checkpoint_close(st);
    }
    return 0;
}
