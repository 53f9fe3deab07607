/* feed.c [FOLDER] -- a target over its seeds and nothing else, so that no fuzzer is needed. Prints TAP, as tools/run-tests
 * reads it. Without FOLDER: build/fuzz/seeds/NAME, NAME being the program's. */
#include "fuzz/fuzz.h"

#include <dirent.h>

enum { FILE_MAX = 1 << 21 };

static void feed(const char *folder, const char *name)
{
    uint8_t *bytes = malloc(FILE_MAX), *copy;
    char path[2048];
    size_t len;
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    f = fopen(path, "re");
    fuzz_must(f && bytes, path);
    len = fread(bytes, 1, FILE_MAX, f);
    fclose(f);
    copy = fuzz_copy(bytes, len);
    printf("# %s\n", path); /* the last one is to blame for an abort */
    fflush(stdout);
    LLVMFuzzerTestOneInput(copy, len);
    free(copy);
    free(bytes);
}

int main(int argc, char **argv)
{
    const char *slash = strrchr(argv[0], '/');
    const char *name = slash ? slash + 1 : argv[0];
    char folder[1024];
    size_t count = 0;
    DIR *d;

    snprintf(folder, sizeof folder, "build/fuzz/seeds/%s", name);
    d = opendir(argc > 1 ? argv[1] : folder);
    fuzz_must(d != NULL, "the folder of seeds is there: make build/fuzz/seeds/made");
    printf("1..1\n");
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        if (e->d_name[0] != '.') {
            feed(argc > 1 ? argv[1] : folder, e->d_name);
            count++;
        }
    closedir(d);
    printf("%sok 1 - %s\n", count ? "" : "not ", name);
    return count == 0;
}
