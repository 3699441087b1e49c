/* SPDX-License-Identifier: MIT */
/*
 * Puts a text where only a process can: for the scenario that shows that it is found there.
 *
 *      canary-plant DIRECTORY
 *
 * The text is the first line of standard input. It comes into a memfd, a file that is open and has no name any more,
 * one that is only mapped, the name, an argument and the environment of this process, and an extended attribute of
 * DIRECTORY/xattr. Prints "planted" when it is there, and ends with its standard input.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/xattr.h>

#include "base/macro.h"

static _noreturn_ void die(const char *what)
{
        perror(what);
        exit(EXIT_FAILURE);
}

static void fill(int fd, const char *text)
{
        if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t) strlen(text))
                die("write");
}

static int nameless_file(const char *text)
{
        static const char path[] = "nameless";
        int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

        fill(fd, text);
        if (unlink(path) < 0)
                die(path);
        return fd;
}

static void plant(const char *text)
{
        int fd;

        fill(memfd_create("planted", MFD_CLOEXEC), text);
        (void) nameless_file(text);

        fd = nameless_file(text);
        if (mmap(NULL, strlen(text), PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED)
                die("mmap");
        close(fd);

        fd = open("xattr", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0 || fsetxattr(fd, "trusted.planted", text, strlen(text), 0) < 0)
                die("xattr");
        close(fd);

        /* What is too long for it is cut off: of a token, behind its number. */
        if (prctl(PR_SET_NAME, strchr(text, ':') ? strchr(text, ':') + 1 : text) < 0)
                die("prctl");
}

/* Once more, with the text as the second argument and as a variable. */
static _noreturn_ void begin_with_text(const char *directory)
{
        char text[256], variable[512];

        if (!fgets(text, sizeof(text), stdin))
                die("standard input");
        text[strcspn(text, "\n")] = '\0';
        snprintf(variable, sizeof(variable), "PLANTED=%s", text);
        (void) execle("/proc/self/exe", program_invocation_short_name, directory, text, NULL,
                      (char *[]){ variable, NULL });
        die("exec");
}

int main(int argc, char *argv[])
{
        if (argc == 2)
                begin_with_text(argv[1]);
        if (argc != 3 || chdir(argv[1]) < 0)
                die("canary-plant DIRECTORY");
        plant(argv[2]);
        puts("planted");
        fflush(stdout);
        while (getchar() != EOF)
                ;
        return EXIT_SUCCESS;
}
