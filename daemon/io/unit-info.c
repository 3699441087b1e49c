/* SPDX-License-Identifier: MIT */
#include "base/strv.h"
#include "io/unit-client-internal.h"

/* No host comes near these. */
#define CREDENTIALS_MAX       4096
#define ROWS_MAX              65536
#define ENVIRONMENT_FILES_MAX 4096

static int read_credentials(sd_bus_message *m, void *field)
{
        UnitInfo *info = (UnitInfo *) ((char *) field - offsetof(UnitInfo, credentials));
        const char *id, *path;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "(ss)");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read(m, "(ss)", &id, &path)) > 0) {
                UnitCredential *grown, *fresh;

                if (info->n_credentials >= CREDENTIALS_MAX)
                        return -E2BIG;
                grown = reallocarray(info->credentials, info->n_credentials + 1, sizeof(UnitCredential));
                if (!grown)
                        return -ENOMEM;
                info->credentials = grown;
                fresh = &grown[info->n_credentials++];
                *fresh = (UnitCredential){};
                r = unit_string_replace(&fresh->id, id);
                if (r >= 0)
                        r = unit_string_replace(&fresh->path, path);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_environment_files(sd_bus_message *m, void *field)
{
        char ***files = field;
        const char *path;
        int may_miss, r;

        r = sd_bus_message_enter_container(m, 'a', "(sb)");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read(m, "(sb)", &path, &may_miss)) > 0) {
                if (strv_length(*files) >= ENVIRONMENT_FILES_MAX)
                        return -E2BIG;
                r = strv_extend(files, path);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

#define FIELD(name) offsetof(UnitInfo, name)

/* Of the interface Unit and, from "Type" on, of Service. No name is in both. */
static const UnitProperty properties[] = {
        { "Id", "s", unit_property_string, FIELD(name) },
        { "LoadState", "s", unit_property_load_state, FIELD(load_state) },
        { "ActiveState", "s", unit_property_active_state, FIELD(active_state) },
        { "SubState", "s", unit_property_string, FIELD(sub_state) },
        { "FragmentPath", "s", unit_property_string, FIELD(fragment_path) },
        { "InvocationID", "ay", unit_property_id128, FIELD(invocation_id) },
        { "NeedDaemonReload", "b", unit_property_bool, FIELD(need_daemon_reload) },
        { "CanReload", "b", unit_property_bool, FIELD(can_reload) },
        { "Job", "(uo)", unit_property_job, FIELD(job_id) },
        { "Requires", "as", unit_property_strings, FIELD(requires) },
        { "Requisite", "as", unit_property_strings, FIELD(requires) },
        { "BindsTo", "as", unit_property_strings, FIELD(requires) },
        { "PartOf", "as", unit_property_strings, FIELD(requires) },
        { "After", "as", unit_property_strings, FIELD(after) },
        { "TriggeredBy", "as", unit_property_strings, FIELD(triggered_by) },
        { "Conflicts", "as", unit_property_strings, FIELD(conflicts) },
        { "ConflictedBy", "as", unit_property_strings, FIELD(conflicts) },
        { "RequiredBy", "as", unit_property_strings, FIELD(stopped_with) },
        { "RequisiteOf", "as", unit_property_strings, FIELD(stopped_with) },
        { "BoundBy", "as", unit_property_strings, FIELD(stopped_with) },
        { "ConsistsOf", "as", unit_property_strings, FIELD(stopped_with) },
        { "PropagatesStopTo", "as", unit_property_strings, FIELD(stopped_with) },
        { "Transient", "b", unit_property_bool, FIELD(transient) },
        { "RefuseManualStart", "b", unit_property_bool, FIELD(refuse_manual_start) },
        { "RefuseManualStop", "b", unit_property_bool, FIELD(refuse_manual_stop) },
        { "Type", "s", unit_property_string, FIELD(type) },
        { "Result", "s", unit_property_string, FIELD(result) },
        { "MainPID", "u", unit_property_uint32, FIELD(main_pid) },
        { "ExecMainStartTimestampMonotonic", "t", unit_property_uint64, FIELD(main_start_usec) },
        { "TimeoutStartUSec", "t", unit_property_uint64, FIELD(timeout_start_usec) },
        { "TimeoutStopUSec", "t", unit_property_uint64, FIELD(timeout_stop_usec) },
        { "RemainAfterExit", "b", unit_property_bool, FIELD(remain_after_exit) },
        { "SendSIGKILL", "b", unit_property_bool, FIELD(send_sigkill) },
        { "KillMode", "s", unit_property_string, FIELD(kill_mode) },
        { "ExecCondition", "a(sasbttttuii)", unit_property_commands, FIELD(exec_condition) },
        { "ExecStartPre", "a(sasbttttuii)", unit_property_commands, FIELD(exec_start_pre) },
        { "ExecReload", "a(sasbttttuii)", unit_property_commands, FIELD(exec_reload) },
        { "LoadCredential", "a(ss)", read_credentials, FIELD(credentials) },
        { "ExecStart", "a(sasbttttuii)", unit_property_commands, FIELD(exec_start) },
        { "Environment", "as", unit_property_strings, FIELD(environment) },
        { "User", "s", unit_property_string, FIELD(sandbox.user) },
        { "Group", "s", unit_property_string, FIELD(sandbox.group) },
        { "SupplementaryGroups", "as", unit_property_strings, FIELD(sandbox.supplementary_groups) },
        { "DynamicUser", "b", unit_property_bool, FIELD(sandbox.dynamic_user) },
        { "PrivateUsers", "b", unit_property_bool, FIELD(sandbox.private_users) },
        { "CapabilityBoundingSet", "t", unit_property_uint64, FIELD(sandbox.capabilities) },
        { "RootDirectory", "s", unit_property_string, FIELD(sandbox.root_directory) },
        { "RootImage", "s", unit_property_string, FIELD(sandbox.root_image) },
        { "ProtectHome", "s", unit_property_string, FIELD(sandbox.protect_home) },
        { "PrivateTmp", "b", unit_property_bool, FIELD(sandbox.private_tmp) },
        { "InaccessiblePaths", "as", unit_property_strings, FIELD(sandbox.inaccessible_paths) },
        { "TemporaryFileSystem", "a(ss)", unit_property_temporary_file_systems, FIELD(sandbox.temporary_file_systems) },
        { "BindPaths", "a(ssbt)", unit_property_binds, FIELD(sandbox) },
        { "BindReadOnlyPaths", "a(ssbt)", unit_property_binds, FIELD(sandbox) },
        { "EnvironmentFiles", "a(sb)", read_environment_files, FIELD(environment_files) },
};

typedef struct InfoCall {
        UnitCall base;
        unit_info_handler_t handler;
        BusQueued *question;
        UnitInfo info;
} InfoCall;

void unit_info_done(UnitInfo *info)
{
        free(info->name);
        free(info->sub_state);
        free(info->type);
        free(info->result);
        free(info->fragment_path);
        free(info->kill_mode);
        strv_free(info->exec_start);
        free(info->missing_program);
        strv_free(info->exec_condition);
        strv_free(info->exec_start_pre);
        strv_free(info->exec_reload);
        strv_free(info->environment);
        unit_sandbox_done(&info->sandbox);
        for (size_t i = 0; i < info->n_credentials; i++) {
                free(info->credentials[i].id);
                free(info->credentials[i].path);
        }
        free(info->credentials);
        strv_free(info->environment_files);
        strv_free(info->requires);
        strv_free(info->after);
        strv_free(info->triggered_by);
        strv_free(info->conflicts);
        strv_free(info->stopped_with);
        *info = (UnitInfo){};
}

static void info_call_done(UnitCall *call)
{
        InfoCall *i = (InfoCall *) call;

        bus_queued_free(i->question);
        unit_info_done(&i->info);
}

/* The handler may free the call: nobody touches it after this. */
static void info_finish(InfoCall *i, int r)
{
        i->question = bus_queued_free(i->question);
        i->handler(&i->base, r, r < 0 ? NULL : &i->info, i->base.userdata);
}

/* Below /usr what is there is there for all, as long as the unit does not mount something over it, and looking does not
 * wait for a network file system, or for an automount that nobody has asked for. */
static bool is_seen_by_all(const UnitInfo *info, const char *path)
{
        const UnitSandbox *s = &info->sandbox;

        return startswith(path, "/usr/") && isempty(s->root_directory) && isempty(s->root_image) && s->n_binds == 0;
}

/* The command is one string by now, and a path may have blanks in it: it is missing where no beginning of the string is
 * a file. */
static int find_missing_program(UnitInfo *info)
{
        const char *command = info->exec_start ? info->exec_start[0] : "";
        _cleanup_free_ char *path = NULL;

        command += *command == '-';
        if (!is_seen_by_all(info, command))
                return 0;
        for (size_t size = strcspn(command, " ");; size += 1 + strcspn(command + size + 1, " ")) {
                free(path);
                path = strndup(command, size);
                if (!path)
                        return -ENOMEM;
                if (access(path, F_OK) == 0 || errno != ENOENT)
                        return 0;
                if (!command[size])
                        break;
        }
        info->missing_program = strndup(command, strcspn(command, " "));
        return info->missing_program ? 0 : -ENOMEM;
}

static int on_properties(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        InfoCall *i = userdata;
        int r;

        if (sd_bus_message_is_method_error(reply, NULL))
                r = -sd_bus_message_get_errno(reply);
        else
                r = unit_properties_read(reply, properties, ELEMENTSOF(properties), &i->info);
        info_finish(i, r < 0 ? r : find_missing_program(&i->info));
        return 0;
}

static bool is_service(const char *unit)
{
        return streq(strrchr(unit, '.'), ".service");
}

/* Strings are never NULL, what is not told is the worst case. */
static int info_set_defaults(UnitInfo *info, const char *unit)
{
        char **strings[] = { &info->sub_state, &info->type, &info->result, &info->fragment_path, &info->kill_mode };
        int r;

        FOREACH_ELEMENT(s, strings) {
                r = unit_string_replace(*s, "");
                if (r < 0)
                        return r;
        }
        r = unit_sandbox_set_defaults(&info->sandbox);
        if (r < 0)
                return r;
        info->load_state = UNIT_LOAD_OTHER;
        info->active_state = UNIT_OTHER;
        return unit_string_replace(&info->name, unit);
}

int unit_client_get(UnitClient *c, const char *unit, unit_info_handler_t handler, void *userdata, UnitCall **ret)
{
        _cleanup_(unit_call_freep) UnitCall *call = NULL;
        _cleanup_free_ char *path = NULL;
        InfoCall *i;
        int r;

        r = unit_call_new(sizeof(InfoCall), c, UNIT_CALL_INFO, unit, userdata, info_call_done, &call);
        if (r < 0)
                return r;
        i = (InfoCall *) call;
        i->handler = handler;

        r = info_set_defaults(&i->info, unit);
        if (r < 0)
                return r;
        r = sd_bus_path_encode(SYSTEMD_UNIT_PATH, unit, &path);
        if (r < 0)
                return r;
        /* There is an object for every name, and who asks it loads the unit. No interface means all of them, in one
         * answer; of a unit that is no service one is enough. */
        r = unit_properties_ask(c, &i->question, path, is_service(unit) ? "" : SYSTEMD_UNIT, 0, on_properties, i);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(call);
        return 0;
}

/* ---- Many units --------------------------------------------------------------------------------------- */

typedef struct ListCall {
        UnitCall base;
        unit_list_handler_t handler;
        BusQueued *question;
        UnitRow *rows;
        size_t n_rows;
} ListCall;

static void list_call_done(UnitCall *call)
{
        ListCall *l = (ListCall *) call;

        bus_queued_free(l->question);
        for (size_t i = 0; i < l->n_rows; i++) {
                free(l->rows[i].name);
                free(l->rows[i].sub_state);
        }
        free(l->rows);
}

/* Returns 0 at the end of the list. */
static int read_row(sd_bus_message *m, ListCall *l)
{
        const char *name, *description, *load, *active, *sub, *following, *path, *job_type, *job_path;
        UnitRow *row;
        uint32_t job_id;
        int r;

        r = sd_bus_message_read(m, "(ssssssouso)", &name, &description, &load, &active, &sub, &following, &path,
                                &job_id, &job_type, &job_path);
        if (r <= 0)
                return r;
        if (l->n_rows >= ROWS_MAX)
                return -E2BIG;

        row = reallocarray(l->rows, l->n_rows + 1, sizeof(UnitRow));
        if (!row)
                return -ENOMEM;
        l->rows = row;
        row = &l->rows[l->n_rows++];
        *row = (UnitRow){
                .load_state = unit_load_state_from_string(load),
                .active_state = unit_active_state_from_string(active),
                .job_id = job_id,
        };
        r = unit_string_replace(&row->name, name);
        if (r >= 0)
                r = unit_string_replace(&row->sub_state, sub);
        return r < 0 ? r : 1;
}

static int read_rows(sd_bus_message *reply, ListCall *l)
{
        int r;

        if (sd_bus_message_is_method_error(reply, NULL))
                return -sd_bus_message_get_errno(reply);
        r = sd_bus_message_enter_container(reply, 'a', "(ssssssouso)");
        if (r < 0)
                return r;
        do
                r = read_row(reply, l);
        while (r > 0);
        return r;
}

static int on_listed(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        ListCall *l = userdata;
        int r;

        r = read_rows(reply, l);
        l->handler(&l->base, r, r < 0 ? NULL : l->rows, r < 0 ? 0 : l->n_rows, l->base.userdata);
        return 0;
}

static int list_call_new(UnitClient *c, char *const *units, unit_list_handler_t handler, void *userdata, UnitCall **ret)
{
        UnitCall *call;
        int r;

        /* To systemd, no pattern means every unit there is. */
        if (strv_length(units) == 0)
                return -EINVAL;
        r = unit_call_new(sizeof(ListCall), c, UNIT_CALL_LIST, NULL, userdata, list_call_done, &call);
        if (r < 0)
                return r;
        ((ListCall *) call)->handler = handler;
        *ret = call;
        return 0;
}

static int list_ask(ListCall *l, const char *method, char *const *units)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        UnitClient *c = l->base.client;
        int r;

        r = sd_bus_message_new_method_call(c->bus, &m, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_MANAGER, method);
        if (r < 0)
                return r;
        if (streq(method, "ListUnitsByPatterns"))
                r = sd_bus_message_append(m, "as", 0); /* in any state */
        if (r >= 0)
                r = sd_bus_message_append_strv(m, (char **) units);
        if (r < 0)
                return r;
        return bus_queue_call(&c->queue, &l->question, m, on_listed, l, QUESTION_TIMEOUT_USEC);
}

int unit_client_list(UnitClient *c, char *const *patterns, unit_list_handler_t handler, void *userdata, UnitCall **ret)
{
        _cleanup_(unit_call_freep) UnitCall *call = NULL;
        int r;

        r = list_call_new(c, patterns, handler, userdata, &call);
        if (r >= 0)
                r = list_ask((ListCall *) call, "ListUnitsByPatterns", patterns);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(call);
        return 0;
}

int unit_client_list_named(UnitClient *c, char *const *units, unit_list_handler_t handler, void *userdata,
                           UnitCall **ret)
{
        _cleanup_(unit_call_freep) UnitCall *call = NULL;
        int r;

        STRV_FOREACH(unit, (char **) units)
                if (!unit_name_is_valid(*unit))
                        return -EINVAL;
        r = list_call_new(c, units, handler, userdata, &call);
        if (r >= 0)
                r = list_ask((ListCall *) call, "ListUnitsByNames", units);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(call);
        return 0;
}
