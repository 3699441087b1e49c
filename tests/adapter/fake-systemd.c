/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <sys/socket.h>

#include "base/strv.h"
#include "fake-systemd.h"

#define PATH    "/org/freedesktop/systemd1"
#define MANAGER "org.freedesktop.systemd1.Manager"
#define BROKER  "org.freedesktop.DBus"

/* A test that cannot say what it wants has no result. */
static void must(int r)
{
        if (r >= 0)
                return;
        fprintf(stderr, "fake systemd: %s\n", strerror(-r));
        abort();
}

static void send_from(FakeSystemd *f, const char *sender, sd_bus_message *m)
{
        if (f->is_bus)
                must(sd_bus_message_set_sender(m, sender ? sender : f->owner));
        must(sd_bus_send(f->server, m, NULL));
}

static void answer_error(FakeSystemd *f, sd_bus_message *call, const char *sender, const char *name,
                         const char *message)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        sd_bus_error e = SD_BUS_ERROR_MAKE_CONST(name, message);

        must(sd_bus_message_new_method_error(call, &m, &e));
        send_from(f, sender, m);
}

/* ---- Signals ------------------------------------------------------------------------------------------ */

static sd_bus_message *new_signal(FakeSystemd *f, const char *path, const char *interface, const char *member)
{
        sd_bus_message *m = NULL;

        must(sd_bus_message_new_signal(f->server, &m, path, interface, member));
        return m;
}

void fake_systemd_job_removed(FakeSystemd *f, const char *sender, uint32_t id, const char *result)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = new_signal(f, PATH, MANAGER, "JobRemoved");
        char path[64];

        snprintf(path, sizeof(path), PATH "/job/%u", id);
        must(sd_bus_message_append(m, "uoss", id, path, "shop.service", result));
        send_from(f, sender, m);
}

void fake_systemd_reloading(FakeSystemd *f, const char *sender, bool begins)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = new_signal(f, PATH, MANAGER, "Reloading");

        must(sd_bus_message_append(m, "b", (int) begins));
        send_from(f, sender, m);
}

static sd_bus_message *new_properties_changed(FakeSystemd *f, const char *unit)
{
        _cleanup_free_ char *path = NULL;

        must(sd_bus_path_encode(PATH "/unit", unit, &path));
        return new_signal(f, path, "org.freedesktop.DBus.Properties", "PropertiesChanged");
}

void fake_systemd_unit_changed(FakeSystemd *f, const char *sender, const char *unit, const char *active,
                               const char *sub)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = new_properties_changed(f, unit);

        must(sd_bus_message_append(m, "sa{sv}as", "org.freedesktop.systemd1.Unit", 3, "ActiveState", "s", active,
                                   "SubState", "s", sub, "NAccesses", "u", 7, 0));
        send_from(f, sender, m);
}

void fake_systemd_unit_invalidated(FakeSystemd *f, const char *unit)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = new_properties_changed(f, unit);

        must(sd_bus_message_append(m, "sa{sv}as", "org.freedesktop.systemd1.Unit", 0, 2, "ActiveState", "SubState"));
        send_from(f, NULL, m);
}

void fake_systemd_owner_changed(FakeSystemd *f, const char *sender, const char *owner)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m =
                        new_signal(f, "/org/freedesktop/DBus", BROKER, "NameOwnerChanged");

        must(sd_bus_message_append(m, "sss", "org.freedesktop.systemd1", f->owner, owner));
        send_from(f, sender ? sender : BROKER, m);
}

/* ---- Answers ------------------------------------------------------------------------------------------ */

/* What follows the number in a{sv}. No interface means all: of a service both. */
#define UNIT_PROPERTIES(f)                                                                                             \
        "CanReload", "b", 1, "Id", "s", "shop.service", "LoadState", "s", "loaded", "ActiveState", "s",                \
                        (f)->active_state, "SubState", "s", (f)->sub_state, "NeedDaemonReload", "b", 1, "Job", "(uo)", \
                        12, PATH "/job/12", "After", "as", 2, "a.target", "b.target", "BindsTo", "as", 1, "c.service", \
                        "InvocationID", "ay", 16, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,               \
                        "FragmentPath", "s", "/etc/systemd/system/shop.service", "BoundBy", "as", 1, "d.service",      \
                        "ConsistsOf", "as", 1, "e.service", "ConflictedBy", "as", 1, "f.service", "RefuseManualStop",  \
                        "b", 1, "Transient", "b", 1
#define N_UNIT_PROPERTIES 16

static void append_requires(FakeSystemd *f, sd_bus_message *m)
{
        must(sd_bus_message_open_container(m, 'a', "{sv}"));
        must(sd_bus_message_open_container(m, 'e', "sv"));
        must(sd_bus_message_append(m, "s", "Requires"));
        must(sd_bus_message_open_container(m, 'v', "as"));
        must(sd_bus_message_open_container(m, 'a', "s"));
        for (size_t i = 0; i < f->n_requires; i++)
                must(sd_bus_message_append(m, "s", "sysinit.target"));
        for (unsigned i = 0; i < 4; i++)
                must(sd_bus_message_close_container(m));
}

static void append_unit_properties(FakeSystemd *f, sd_bus_message *m)
{
        must(sd_bus_message_append(m, "a{sv}", N_UNIT_PROPERTIES, UNIT_PROPERTIES(f)));
}

static void append_service_properties(FakeSystemd *f, sd_bus_message *m)
{
        if (f->odd_types) {
                must(sd_bus_message_append(m, "a{sv}", 1, "MainPID", "s", "4711"));
                return;
        }
        must(sd_bus_message_append(
                        m, "a{sv}", N_UNIT_PROPERTIES + 29, UNIT_PROPERTIES(f), "ExecReload", "a(sasbttttuii)", 1,
                        "/usr/bin/shop", 2, "shop", "--reload", 0, UINT64_C(1), UINT64_C(2), UINT64_C(3), UINT64_C(4),
                        5, 6, 7, "Type", "s", "exec", "Result", "s", "success", "MainPID", "u", 4711,
                        "ExecMainStartTimestampMonotonic", "t", UINT64_C(123456789), "TimeoutStartUSec", "t",
                        UINT64_MAX, "ExecStartPre", "a(sasbttttuii)", 2, "/usr/bin/test", 3, "test", "-s", "/run/x", 0,
                        UINT64_C(1), UINT64_C(2), UINT64_C(3), UINT64_C(4), 5, 6, 7, "/bin/true", 1, "true", 1,
                        UINT64_C(1), UINT64_C(2), UINT64_C(3), UINT64_C(4), 5, 6, 7, "LoadCredential", "a(ss)", 2,
                        "bot-token", "/run/tgswitch/credential.sock", "bot-endpoint", "/run/tgswitch/credential.sock",
                        "ExecStart", "a(sasbttttuii)", 1, "/usr/bin/shop", 2, "shop", "--poll", 0, UINT64_C(1),
                        UINT64_C(2), UINT64_C(3), UINT64_C(4), 5, 6, 7, "Environment", "as", 1, "A=b c", "User", "s",
                        "shop", "Group", "s", "", "SupplementaryGroups", "as", 1, "tgswitch-files", "DynamicUser", "b",
                        1, "PrivateUsers", "b", 1, "CapabilityBoundingSet", "t", UINT64_C(6), "RootDirectory", "s",
                        "/srv/root", "RootImage", "s", "", "ProtectHome", "s", "tmpfs", "PrivateTmp", "b", 1,
                        "InaccessiblePaths", "as", 1, "-/etc/ssl", "TemporaryFileSystem", "a(ss)", 2, "/var",
                        "ro,mode=755", "/srv", "", "BindPaths", "a(ssbt)", 1, "/a", "/b", 0, UINT64_C(16384),
                        "BindReadOnlyPaths", "a(ssbt)", 1, "/c", "/d", 1, UINT64_C(0), "LimitNOFILE", "t",
                        UINT64_C(1024), "KillMode", "s", "control-group", "SendSIGKILL", "b", 1, "TimeoutStopUSec", "t",
                        UINT64_C(90000000), "EnvironmentFiles", "a(sb)", 1, "/run/tgswitch/bots/shop.env", 1));
}

static void append_property(FakeSystemd *f, sd_bus_message *m, const char *name)
{
        must(sd_bus_message_append(m, "v", "s", streq(name, "SystemState") ? f->system_state : f->active_state));
}

static void append_rows(FakeSystemd *f, sd_bus_message *m)
{
        must(sd_bus_message_append(m, "a(ssssssouso)", 2, "shop@1.service", "Shop", "loaded", "active", "running", "",
                                   PATH "/unit/a", 0, "", "/", "shop@2.service", "Shop", "masked", "failed", "failed",
                                   "", PATH "/unit/b", 12, "start", PATH "/job/12"));
}

static void append_lock(FakeSystemd *f, sd_bus_message *m)
{
        must(sd_bus_message_append(m, "h", f->inhibitor_fd));
}

static void append_job(FakeSystemd *f, sd_bus_message *m)
{
        char path[64];

        snprintf(path, sizeof(path), PATH "/job/%u", f->last_job);
        must(sd_bus_message_append(m, "o", path));
}

void fake_systemd_answer_kept(FakeSystemd *f, const char *error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = TAKE_PTR(f->kept), *m = NULL;

        assert(call);
        if (error) {
                answer_error(f, call, streq(error, SD_BUS_ERROR_NO_REPLY) ? BROKER : NULL, error, "Said so.");
                return;
        }
        must(sd_bus_message_new_method_return(call, &m));
        append_job(f, m);
        send_from(f, NULL, m);
}

/* A method that changes something: refused, left without an answer, or done. */
static void act(FakeSystemd *f, sd_bus_message *call, sd_bus_message *reply, const char *method)
{
        if (f->refuses_reset && streq(method, "ResetFailed")) {
                answer_error(f, call, NULL, SD_BUS_ERROR_ACCESS_DENIED, "Said so.");
                return;
        }
        if (f->refusal) {
                answer_error(f, call, NULL, f->refusal, f->refusal_text ?: "Said so.");
                return;
        }
        if (f->silent) {
                sd_bus_message_unref(f->kept);
                f->kept = sd_bus_message_ref(call);
                return;
        }
        if (streq(method, "Inhibit"))
                append_lock(f, reply);
        else if (!streq(method, "ResetFailed")) {
                f->last_job++;
                if (f->overtaken_by) {
                        fake_systemd_job_removed(f, NULL, 100000, "failed");
                        fake_systemd_job_removed(f, NULL, f->last_job, f->overtaken_by);
                }
                append_job(f, reply);
        }
        send_from(f, NULL, reply);
}

static void answer_question(FakeSystemd *f, sd_bus_message *call, sd_bus_message *reply, const char *method,
                            const char *first, const char *second)
{
        if (streq(method, "GetAll") && f->n_requires > 0)
                append_requires(f, reply);
        else if (streq(method, "GetAll") && streq(first, "org.freedesktop.systemd1.Unit"))
                append_unit_properties(f, reply);
        else if (streq(method, "GetAll"))
                append_service_properties(f, reply);
        else if (streq(method, "Get"))
                append_property(f, reply, second);
        else if (streq(method, "ListUnitsByPatterns") || streq(method, "ListUnitsByNames"))
                append_rows(f, reply);
        else if (streq(method, "GetJob")) {
                if (!f->job_exists) {
                        answer_error(f, call, NULL, "org.freedesktop.systemd1.NoSuchJob", "Job does not exist.");
                        return;
                }
                append_job(f, reply);
        } else if (!streq(method, "Subscribe")) {
                answer_error(f, call, NULL, SD_BUS_ERROR_UNKNOWN_METHOD, method);
                return;
        }
        send_from(f, NULL, reply);
}

static bool changes_something(const char *method)
{
        static const char *const methods[] = { "StartUnit",  "StopUnit",    "RestartUnit", "TryRestartUnit",
                                               "ReloadUnit", "ResetFailed", "Inhibit" };

        FOREACH_ELEMENT(m, methods)
                if (streq(method, *m))
                        return true;
        return false;
}

static void play_broker(FakeSystemd *f, const char *method, sd_bus_message *reply)
{
        if (streq(method, "Hello"))
                must(sd_bus_message_append(reply, "s", ":1.42"));
        send_from(f, BROKER, reply);
}

static int on_message(sd_bus_message *call, void *userdata, sd_bus_error *ret_error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        FakeSystemd *f = userdata;
        const char *method = sd_bus_message_get_member(call), *first = "", *second = "";
        char line[512];

        if (!sd_bus_message_is_method_call(call, NULL, NULL))
                return 0;
        must(sd_bus_message_new_method_return(call, &reply));
        if (streq_ptr(sd_bus_message_get_destination(call), BROKER)) {
                play_broker(f, method, reply);
                return 1;
        }

        /* Two strings are enough to tell one call from another. */
        if (sd_bus_message_has_signature(call, "s"))
                must(sd_bus_message_read(call, "s", &first));
        else if (startswith(sd_bus_message_get_signature(call, true), "ss"))
                must(sd_bus_message_read(call, "ss", &first, &second));
        snprintf(line, sizeof(line), "%s%s%s%s%s", method, *first ? " " : "", first, *second ? " " : "", second);
        must(strv_extend(&f->calls, line));

        if (changes_something(method))
                act(f, call, reply, method);
        else
                answer_question(f, call, reply, method, first, second);
        return 1;
}

/* ---- The connection ----------------------------------------------------------------------------------- */

static sd_bus *new_end(int fd)
{
        sd_bus *bus = NULL;

        must(sd_bus_new(&bus));
        must(sd_bus_set_fd(bus, fd, fd));
        must(sd_bus_negotiate_fds(bus, true));
        return bus;
}

FakeSystemd *fake_systemd_new(sd_event *event, bool is_bus, sd_bus **ret_client)
{
        FakeSystemd *f = calloc(1, sizeof(FakeSystemd));
        sd_bus *client;
        int fds[2];

        if (!f || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
                abort();
        *f = (FakeSystemd){
                .is_bus = is_bus,
                .owner = is_bus ? FAKE_OWNER : NULL,
                .last_job = 10,
                .job_exists = true,
                .active_state = "active",
                .sub_state = "running",
                .system_state = "running",
                .inhibitor_fd = -EBADF,
        };

        f->server = new_end(fds[0]);
        must(sd_bus_set_server(f->server, true,
                               SD_ID128_MAKE(01, 02, 03, 04, 05, 06, 07, 08, 09, 0a, 0b, 0c, 0d, 0e, 0f, 10)));
        must(sd_bus_add_filter(f->server, NULL, on_message, f));
        client = new_end(fds[1]);
        must(sd_bus_set_bus_client(client, is_bus));
        must(sd_bus_start(f->server));
        must(sd_bus_start(client));
        must(sd_bus_attach_event(f->server, event, 0));
        must(sd_bus_attach_event(client, event, 0));

        *ret_client = client;
        return f;
}

FakeSystemd *fake_systemd_free(FakeSystemd *f)
{
        if (!f)
                return NULL;
        sd_bus_message_unref(f->kept);
        sd_bus_close_unref(f->server);
        strv_free(f->calls);
        free(f);
        return NULL;
}
