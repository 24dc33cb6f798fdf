// embed INPUT OUTPUT NAME: a C file that defines the bytes of a file. Runs while building.
#include <stdio.h>

int main(int argc, char **argv)
{
    FILE *in = argc == 4 ? fopen(argv[1], "rb") : NULL, *out = in ? fopen(argv[2], "w") : NULL;
    if (!out) {
        fprintf(stderr, "usage: embed INPUT OUTPUT NAME\n");
        return 1;
    }
    size_t n = 0;
    fprintf(out, "#include <stddef.h>\nextern const unsigned char %s[];\nextern const size_t %s_len;\n", argv[3],
            argv[3]);
    fprintf(out, "const unsigned char %s[] = {", argv[3]);
    for (int c; (c = getc(in)) != EOF; n++) {
        fprintf(out, "%s%d,", n % 24 == 0 ? "\n" : "", c);
    }
    fprintf(out, "\n};\nconst size_t %s_len = %zu;\n", argv[3], n);
    fclose(in);
    return fclose(out) == 0 ? 0 : 1;
}
