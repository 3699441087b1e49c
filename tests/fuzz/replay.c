/* SPDX-License-Identifier: MIT */

/* A fuzzer without its engine: runs each file that is named on the command line, or lies in a directory named there,
 * and prints TAP. What goes wrong ends the process, and the last line tells in which file. */

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/fs-util.h"
#include "base/strv.h"
#include "fuzz.h"

#define INPUT_SIZE_MAX ((size_t) 16 * 1024 * 1024)

static int add_path(const char *path, char ***files)
{
        _cleanup_strv_ char **names = NULL;
        struct stat st;
        int r;

        if (stat(path, &st) < 0)
                return -errno;
        if (!S_ISDIR(st.st_mode))
                return strv_extend(files, path);
        r = list_directory_at(AT_FDCWD, path, &names);
        STRV_FOREACH(name, names) {
                _cleanup_free_ char *file = NULL;

                if (r < 0)
                        break;
                r = asprintf(&file, "%s/%s", path, *name) < 0 ? -ENOMEM : strv_extend(files, file);
        }
        return r;
}

static int replay(const char *path)
{
        _cleanup_free_ char *bytes = NULL, *exact = NULL;
        size_t size;
        int r;

        r = read_file_at(AT_FDCWD, path, 0, INPUT_SIZE_MAX, &bytes, &size);
        if (r < 0)
                return r;
        /* Without the NUL that a read file has, so that the sanitizer sees who reads beyond the end. */
        exact = malloc(MAX(size, 1u));
        if (!exact)
                return -ENOMEM;
        memcpy(exact, bytes, size);
        (void) LLVMFuzzerTestOneInput((const uint8_t *) exact, size);
        return 0;
}

int main(int argc, char *argv[])
{
        _cleanup_strv_ char **files = NULL;
        unsigned n = 0, failed = 0;
        int r;

        for (int i = 1; i < argc; i++) {
                r = add_path(argv[i], &files);
                if (r < 0) {
                        fprintf(stderr, "Cannot read %s: %s.\n", argv[i], strerror(-r));
                        return EXIT_FAILURE;
                }
        }
        if (!files) {
                fprintf(stderr, "There is no input: name a file or a directory with some.\n");
                return EXIT_FAILURE;
        }

        /* Line by line also into a file: a process that dies flushes nothing. */
        setvbuf(stdout, NULL, _IOLBF, 0);
        printf("1..%zu\n", strv_length(files));
        STRV_FOREACH(file, files) {
                printf("# %s\n", *file);
                r = replay(*file);
                printf("%s %u - %s\n", r < 0 ? "not ok" : "ok", ++n, *file);
                if (r < 0)
                        printf("# %s\n", strerror(-r));
                failed += r < 0;
        }
        return failed > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
