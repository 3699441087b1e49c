/* SPDX-License-Identifier: MIT */
/*
 * Where a canary is: the word that the secret of each token of the tests has in it (tests/canary.h).
 *
 *      canary-find FORMS [--processes] PLACE…
 *
 * FORMS is a file with what the word looks like, one form a line. A PLACE is a file, or a directory with all below it
 * on the same file system: names, contents, targets of symbolic links, extended attributes. With --processes also what
 * belongs to processes: of all those that can be seen here their arguments, environment and name; of those in another
 * PID namespace than ours what is in open or mapped files that no directory has any more (memfds, deleted ones), and
 * each tmpfs of each of their mount namespaces, which is where credentials and private directories are.
 *
 * Prints a line for each find, "WHAT PATH", a token in the path as "{token}". WHAT is "in", "name", "link", "xattr",
 * "argv", "environ", "comm", "fd" or "map". What is gone by the time it is to be read is not found. Ends with 0 where
 * nothing was found, with 1 where something was, with 2 where it could not look.
 */
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/macro.h"

#define FORMS_MAX     16
#define FORM_SIZE_MAX 64
#define TREES_MAX     1024
#define TREE_FDS_MAX  32
#define BUFFER_SIZE   (1u << 20)

/* nftw() hands nothing on to its callback. */
static struct {
        char forms[FORMS_MAX][FORM_SIZE_MAX];
        size_t n_forms;
        size_t strip; /* so many bytes of a path are not printed */
        bool found;
} search;

static void close_file(FILE **f)
{
        if (*f)
                fclose(*f);
}

static void close_directory(DIR **d)
{
        if (*d)
                closedir(*d);
}

static const void *find_form(const void *bytes, size_t size, size_t *ret_size)
{
        for (size_t i = 0; i < search.n_forms; i++) {
                size_t n = strlen(search.forms[i]);
                const void *p = memmem(bytes, size, search.forms[i], n);

                if (p) {
                        *ret_size = n;
                        return p;
                }
        }
        return NULL;
}

static bool has_canary(const void *bytes, size_t size)
{
        size_t n;

        return find_form(bytes, size, &n) != NULL;
}

static bool is_of_token(char c)
{
        return c != '\0' && strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789:_-%", c);
}

/* What prints a token where it was found has made one more place. */
static void print_redacted(const char *path)
{
        const char *p;
        size_t size;

        while ((p = find_form(path, strlen(path), &size))) {
                const char *end = p + size;

                while (p > path && is_of_token(p[-1]))
                        p--;
                while (is_of_token(*end))
                        end++;
                printf("%.*s{token}", (int) (p - path), path);
                path = end;
        }
        puts(path);
}

static void tell(const char *what, const char *path)
{
        printf("%s ", what);
        print_redacted(strlen(path) > search.strip ? path + search.strip : path);
        search.found = true;
}

/* ---- files ---- */

static bool fd_has_canary(int fd)
{
        static char buffer[BUFFER_SIZE];
        size_t kept = 0;
        ssize_t n;

        while ((n = read(fd, buffer + kept, sizeof(buffer) - kept)) > 0) {
                size_t size = kept + (size_t) n;

                if (has_canary(buffer, size))
                        return true;
                /* It may lie across two readings. */
                kept = MIN(size, (size_t) FORM_SIZE_MAX);
                memmove(buffer, buffer + size - kept, kept);
        }
        return false;
}

/* `flags`: O_NOFOLLOW, or 0 for the links of /proc, which are the files themselves. */
static bool file_has_canary(const char *path, int flags)
{
        _cleanup_close_ int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | flags);
        struct stat st;

        return fd >= 0 && fstat(fd, &st) >= 0 && S_ISREG(st.st_mode) && fd_has_canary(fd);
}

static bool link_has_canary(const char *path)
{
        char target[PATH_MAX];
        ssize_t n = readlink(path, target, sizeof(target));

        return n > 0 && has_canary(target, (size_t) n);
}

static bool xattrs_have_canary(const char *path)
{
        static char names[XATTR_LIST_MAX], value[XATTR_SIZE_MAX];
        ssize_t size = llistxattr(path, names, sizeof(names)), n;

        if (size <= 0)
                return false;
        if (has_canary(names, (size_t) size))
                return true;
        for (const char *name = names; name < names + size; name += strlen(name) + 1) {
                n = lgetxattr(path, name, value, sizeof(value));
                if (n > 0 && has_canary(value, (size_t) n))
                        return true;
        }
        return false;
}

static int look_at(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        if (has_canary(path + ftw->base, strlen(path + ftw->base)))
                tell("name", path);
        if (type == FTW_F && S_ISREG(st->st_mode) && file_has_canary(path, O_NOFOLLOW))
                tell("in", path);
        if (type == FTW_SL && link_has_canary(path))
                tell("link", path);
        if (type != FTW_NS && xattrs_have_canary(path))
                tell("xattr", path);
        return 0;
}

/* ---- processes ---- */

/* A tmpfs as it is mounted somewhere. */
typedef struct Tree {
        char device[16], root[PATH_MAX];
} Tree;

static bool is_known(const char *device, const char *root)
{
        static Tree *trees;
        static size_t n_trees;

        for (size_t i = 0; i < n_trees; i++)
                if (streq(trees[i].device, device) && streq(trees[i].root, root))
                        return true;
        if (!trees)
                trees = calloc(TREES_MAX, sizeof(Tree));
        if (!trees || n_trees == TREES_MAX) {
                fprintf(stderr, "canary-find: there are more file systems than were expected\n");
                exit(2);
        }
        snprintf(trees[n_trees].device, sizeof(trees[n_trees].device), "%s", device);
        snprintf(trees[n_trees++].root, sizeof(trees->root), "%s", root);
        return false;
}

/* Between fork and exec the name of systemd's child is in parentheses, as is that of "(sd-mkdcreds)", which makes
 * credentials on a ramfs over /dev/shm: what is in their namespaces is on its way to where it is looked at, or gone. */
static bool is_becoming(unsigned pid)
{
        char path[64], name[16] = "";
        _cleanup_(close_file) FILE *f = NULL;

        snprintf(path, sizeof(path), "/proc/%u/comm", pid);
        f = fopen(path, "re");
        return !f || !fgets(name, sizeof(name), f) || name[0] == '(';
}

/* See proc(5): "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue". */
static void look_at_mounts(unsigned pid)
{
        char path[PATH_MAX + 64], line[3 * PATH_MAX], device[16], root[PATH_MAX], target[PATH_MAX];
        _cleanup_(close_file) FILE *f = NULL;

        snprintf(path, sizeof(path), "/proc/%u/mountinfo", pid);
        f = fopen(path, "re");
        /* After the namespace has been opened: its process may have gone on since. */
        if (!f || is_becoming(pid))
                return;
        while (fgets(line, sizeof(line), f)) {
                const char *type = strstr(line, " - ");

                if (!type || (!startswith(type + 3, "tmpfs ") && !startswith(type + 3, "ramfs ")) ||
                    sscanf(line, "%*s %*s %15s %4095s %4095s", device, root, target) != 3 || is_known(device, root))
                        continue;
                search.strip = (size_t) snprintf(path, sizeof(path), "/proc/%u/root", pid);
                snprintf(path + search.strip, sizeof(path) - search.strip, "%s", target);
                (void) nftw(path, look_at, TREE_FDS_MAX, FTW_PHYS | FTW_MOUNT);
                search.strip = 0;
        }
}

/* The links of fd/ and map_files/ that lead to what has no name any more. */
static void look_at_nameless(unsigned pid, const char *directory, const char *what)
{
        char path[PATH_MAX], target[PATH_MAX], told[2 * PATH_MAX + 1];
        _cleanup_(close_directory) DIR *d = NULL;
        const struct dirent *entry;

        snprintf(path, sizeof(path), "/proc/%u/%s", pid, directory);
        d = opendir(path);
        while (d && (entry = readdir(d))) {
                ssize_t n;

                snprintf(path, sizeof(path), "/proc/%u/%s/%s", pid, directory, entry->d_name);
                n = readlink(path, target, sizeof(target) - 1);
                if (n <= 0)
                        continue;
                target[n] = '\0';
                if (!strstr(target, " (deleted)") || !file_has_canary(path, 0))
                        continue;
                snprintf(told, sizeof(told), "%s %s", path, target);
                tell(what, told);
        }
}

static bool is_inside(unsigned pid)
{
        char path[64];
        struct stat ours, its;

        snprintf(path, sizeof(path), "/proc/%u/ns/pid", pid);
        return stat("/proc/self/ns/pid", &ours) >= 0 && stat(path, &its) >= 0 && ours.st_ino != its.st_ino;
}

static void look_at_process(unsigned pid)
{
        static const struct {
                const char *file, *what;
        } texts[] = { { "cmdline", "argv" }, { "environ", "environ" }, { "comm", "comm" } };
        char path[64];

        FOREACH_ELEMENT(t, texts) {
                snprintf(path, sizeof(path), "/proc/%u/%s", pid, t->file);
                if (file_has_canary(path, 0))
                        tell(t->what, path);
        }
        if (!is_inside(pid))
                return;
        look_at_nameless(pid, "fd", "fd");
        look_at_nameless(pid, "map_files", "map");
        look_at_mounts(pid);
}

static int look_at_processes(void)
{
        _cleanup_(close_directory) DIR *d = opendir("/proc");
        const struct dirent *entry;
        unsigned pid;

        if (!d)
                return -errno;
        while ((entry = readdir(d)))
                if (sscanf(entry->d_name, "%u", &pid) == 1)
                        look_at_process(pid);
        return 0;
}

static int read_forms(const char *path)
{
        _cleanup_(close_file) FILE *f = fopen(path, "re");

        if (!f)
                return -errno;
        while (search.n_forms < FORMS_MAX && fgets(search.forms[search.n_forms], FORM_SIZE_MAX, f)) {
                char *form = search.forms[search.n_forms];

                form[strcspn(form, "\n")] = '\0';
                search.n_forms += form[0] != '\0';
        }
        return search.n_forms > 0 ? 0 : -ENODATA;
}

int main(int argc, char *argv[])
{
        int r = argc < 3 ? -EINVAL : read_forms(argv[1]);

        /* Who judges a find looks at the place, too, which may not be there for long. */
        setvbuf(stdout, NULL, _IOLBF, 0);
        for (int i = 2; r >= 0 && i < argc; i++)
                if (streq(argv[i], "--processes"))
                        r = look_at_processes();
                else if (nftw(argv[i], look_at, TREE_FDS_MAX, FTW_PHYS | FTW_MOUNT) < 0)
                        r = -errno;
        if (r < 0) {
                fprintf(stderr, "canary-find: %s\n", strerror(-r));
                return 2;
        }
        return search.found;
}
