/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/fs-util.h"
#include "base/strv.h"
#include "ctl/ctl-json.h"
#include "ctl/ctl-seal.h"
#include "io/config.h"

/* Before each start of tgswitchd: which encrypted credentials can this host decrypt? systemd starts a service with all
 * of its credentials or not at all [systemd 252: 243/CREDENTIALS], so that one damaged file of one bot would keep the
 * daemon from all the others, for as long as nobody looks. Therefore it gets those that can be decrypted, still
 * encrypted, from a directory below /run, and a sentence in place of each other one. */

#define SOURCE_PREFIX "/etc/tgswitch/"
#define SOURCE_SUFFIX "s.encrypted"
#define RUN_DIRECTORY "/run/tgswitch"
#define DIRECTORY     "credentials"
/* What is not encrypted with a TPM alone: with another key everything has to be tried anew. */
#define HOST_KEY "/var/lib/systemd/credential.secret"

typedef struct Kind {
        const char *name, *cure;
} Kind;

static const Kind kinds[] = {
        { "token", "Store it again with 'tgswitchctl set-token' and --encrypt." },
        { "secret", "Encrypt it again as tgswitch-bot(5) says." },
};

/* Directories of one kind. `source` is -EBADF where there is none. */
typedef struct Places {
        int source, usable, refused;
} Places;

static void places_done(Places *p)
{
        closep(&p->source);
        closep(&p->usable);
        closep(&p->refused);
}

static int places_open(int directory, const Kind *kind, Places *ret)
{
        _cleanup_(places_done) Places p = { -EBADF, -EBADF, -EBADF };
        char path[64];
        int r;

        (void) snprintf(path, sizeof(path), "encrypted-%s", kind->name);
        r = open_directory_at(directory, path, 0700, &p.usable);
        if (r < 0)
                return r;
        (void) snprintf(path, sizeof(path), "refused-%s", kind->name);
        r = open_directory_at(directory, path, 0700, &p.refused);
        if (r < 0)
                return r;
        /* Last: a source that is strange must not keep away the directories without which tgswitchd does not start. */
        (void) snprintf(path, sizeof(path), SOURCE_PREFIX "%s" SOURCE_SUFFIX, kind->name);
        p.source = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (p.source < 0 && errno != ENOENT)
                return -errno;
        *ret = p;
        p = (Places){ -EBADF, -EBADF, -EBADF };
        return 0;
}

/* These very bytes were decrypted in this boot, with the key that there is: a TPM takes its time for each. */
static bool is_known(const Places *p, const char *bot, const char *bytes, size_t size)
{
        _cleanup_free_ char *copy = NULL;
        struct stat key, st;
        size_t copy_size;

        if (read_file_at(p->usable, bot, O_NOFOLLOW, SEALED_SIZE_MAX, &copy, &copy_size) < 0 || copy_size != size ||
            memcmp(copy, bytes, size) != 0 || fstatat(p->usable, bot, &st, 0) < 0)
                return false;
        if (stat(HOST_KEY, &key) < 0)
                return false;
        return key.st_ctim.tv_sec < st.st_mtim.tv_sec ||
               (key.st_ctim.tv_sec == st.st_mtim.tv_sec && key.st_ctim.tv_nsec < st.st_mtim.tv_nsec);
}

/* Returns 1 where it can be used, 0 with *ret_why where not. */
static int try_file(const Places *p, const Kind *kind, const char *bot, char **ret_why)
{
        _cleanup_free_ char *bytes = NULL;
        char name[SEAL_NAME_SIZE], *plain = NULL;
        size_t size, plain_size;
        int r;

        r = read_file_at(p->source, bot, O_NOFOLLOW, SEALED_SIZE_MAX, &bytes, &size);
        if (r < 0) {
                *ret_why = strdup(r == -ELOOP ? "it is a symbolic link" : strerror(-r));
                return r == -ENOMEM || !*ret_why ? -ENOMEM : 0;
        }
        if (is_known(p, bot, bytes, size))
                return 1;
        r = unseal(seal_name(name, kind->name, bot), bytes, size, &plain, &plain_size, ret_why);
        if (r < 0)
                return r == -ENOMEM ? r : 0;
        explicit_bzero(plain, plain_size);
        free(plain);
        r = write_file_atomic_at(p->usable, bot, bytes, size, 0600, WRITE_NO_SYNC);
        return r < 0 ? r : 1;
}

static int refuse(const Places *p, const Kind *kind, const char *bot, const char *why, json_object *json_refused)
{
        _cleanup_free_ char *sentence = NULL;
        json_object *o;
        int r;

        if (asprintf(&sentence,
                     "The encrypted %s in " SOURCE_PREFIX "%s" SOURCE_SUFFIX "/%s cannot be decrypted on this host "
                     "(%s). %s",
                     kind->name, kind->name, bot, why, kind->cure) < 0) {
                sentence = NULL;
                return -ENOMEM;
        }
        r = unlink_if_exists_at(p->usable, bot);
        if (r >= 0)
                r = write_file_atomic_at(p->refused, bot, sentence, strlen(sentence), 0600, WRITE_NO_SYNC);
        if (r < 0)
                return r;
        (void) ctl_error(CTL_FAILED, "%s tgswitchd goes on without it.", sentence);
        if (!json_refused)
                return 0;
        o = json_object_new_object();
        ctl_json_add(o, "kind", json_text(kind->name));
        ctl_json_add(o, "bot", json_text(bot));
        ctl_json_add(o, "reason", json_text(why));
        return json_object_array_add(json_refused, o) < 0 ? -ENOMEM : 0;
}

/* What has no source any more, and whatever else lies there: systemd would take it for a credential. */
static int remove_others(int directory, char *const *bots)
{
        _cleanup_strv_ char **names = NULL;
        int r = list_directory_at(directory, ".", &names);

        STRV_FOREACH(name, names)
                if (r >= 0 && !strv_contains(bots, *name))
                        r = unlink_if_exists_at(directory, *name);
        return r;
}

/* Returns how many are refused. */
static int check_kind(int directory, const Kind *kind, json_object *json_refused)
{
        _cleanup_(places_done) Places p = { -EBADF, -EBADF, -EBADF };
        _cleanup_strv_ char **names = NULL, **usable = NULL, **refused = NULL;
        int r;

        r = places_open(directory, kind, &p);
        if (r >= 0 && p.source >= 0)
                r = list_directory_at(p.source, ".", &names);
        if (r < 0)
                return r;
        STRV_FOREACH(name, names) {
                _cleanup_free_ char *why = NULL;

                if (!bot_name_is_valid(*name)) {
                        (void) ctl_error(CTL_FAILED,
                                         SOURCE_PREFIX "%s" SOURCE_SUFFIX "/%s is left out: it is no name of a bot.",
                                         kind->name, *name);
                        continue;
                }
                r = try_file(&p, kind, *name, &why);
                if (r > 0)
                        r = strv_extend(&usable, *name);
                else if (r == 0 && (r = refuse(&p, kind, *name, why, json_refused)) >= 0)
                        r = strv_extend(&refused, *name);
                if (r < 0)
                        return r;
        }
        r = remove_others(p.usable, usable);
        if (r >= 0)
                r = remove_others(p.refused, refused);
        return r < 0 ? r : (int) strv_length(refused);
}

static int open_directory(int *ret)
{
        _cleanup_close_ int run = -EBADF;
        int r = open_directory_at(AT_FDCWD, RUN_DIRECTORY, 0755, &run);

        return r < 0 ? r : open_directory_at(run, DIRECTORY, 0700, ret);
}

CtlExit verb_check_credentials(Ctl *c)
{
        _cleanup_close_ int directory = -EBADF;
        json_object *refused = NULL, *json = NULL;
        CtlExit status = CTL_OK;
        int r;

        if (geteuid() != 0)
                return ctl_error(CTL_DENIED, "check-credentials decrypts what only root may read: run it as root.");
        seal_memory();
        r = open_directory(&directory);
        if (r < 0)
                return ctl_error(CTL_FAILED,
                                 RUN_DIRECTORY
                                 "/" DIRECTORY
                                 " cannot be made: %s. Look at it; tgswitchd gets no encrypted token without it.",
                                 strerror(-r));
        if (c->json) {
                json = ctl_json_new();
                refused = json_object_new_array();
                ctl_json_add(json, "refused", refused);
        }
        FOREACH_ELEMENT(kind, kinds) {
                r = check_kind(directory, kind, refused);
                if (r < 0)
                        status = ctl_error(CTL_FAILED,
                                           "The encrypted %ss cannot be looked at (%s): tgswitchd gets those that it "
                                           "had before.",
                                           kind->name, strerror(-r));
                else if (r > 0)
                        status = CTL_FAILED;
        }
        if (json)
                (void) ctl_print_json(json);
        return status;
}
