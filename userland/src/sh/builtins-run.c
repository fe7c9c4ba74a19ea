/* Builtins that change what runs next: flow control, eval, exec, command and type. */

#include "sh/sh.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A count operand of at least `least`; `otherwise` without one. */
static int read_count(int argc, char **argv, int otherwise, int least)
{
    intmax_t value = otherwise;
    if (argc > 1 && (!parse_integer(argv[1], &value) || value < least || value > INT32_MAX))
        raise_error(2, "%s: %s: bad number", argv[0], argv[1]);
    return (int)value;
}

static int leave_loops(int argc, char **argv, Unwinding unwinding)
{
    int levels = read_count(argc, argv, 1, 1);
    if (sh.loop_depth == 0)
        return 0;
    sh.unwinding = unwinding;
    sh.unwind_levels = levels < sh.loop_depth ? levels : sh.loop_depth;
    return 0;
}

int break_builtin(int argc, char **argv)
{
    return leave_loops(argc, argv, UNWIND_BREAK);
}

int continue_builtin(int argc, char **argv)
{
    return leave_loops(argc, argv, UNWIND_CONTINUE);
}

int return_builtin(int argc, char **argv)
{
    int status = read_count(argc, argv, sh.status, 0) & 0xff;
    if (sh.function_depth == 0 && sh.source_depth == 0)
        exit_shell(status);
    sh.unwinding = UNWIND_RETURN;
    return status;
}

int exit_builtin(int argc, char **argv)
{
    int status = read_count(argc, argv, sh.status, 0) & 0xff;
    static bool warned;
    if (sh.interactive && has_stopped_jobs() && !warned) {
        warned = true;
        warn_text("there are stopped jobs; exit again to leave them");
        return 1;
    }
    exit_shell(status);
}

int eval_builtin(int argc, char **argv)
{
    Buffer text = {0};
    for (int i = 1; i < argc; i++) {
        if (i > 1)
            buffer_add_char(&text, ' ');
        buffer_add_text(&text, argv[i]);
    }
    int status = text.length > 0 ? run_text(text.data) : 0;
    buffer_free(&text);
    return status;
}

/* A sourced file without a slash in its name is looked for along PATH (XCU, dot). */
static char *find_source(const char *name)
{
    const char *path = get_variable("PATH");
    if (strchr(name, '/') != NULL || path == NULL)
        return copy_string(name);
    for (;;) {
        size_t length = strcspn(path, ":");
        char *folder = copy_bytes(path, length);
        char *candidate = join_path(*folder != '\0' ? folder : ".", name);
        free(folder);
        if (access(candidate, R_OK) == 0 && !is_folder(candidate))
            return candidate;
        free(candidate);
        if (path[length] == '\0')
            return copy_string(name);
        path += length + 1;
    }
}

int dot_builtin(int argc, char **argv)
{
    if (argc < 2)
        raise_error(2, ".: file name expected");
    char *path = find_source(argv[1]);
    char **caller_parameters = sh.parameters;
    int caller_count = sh.parameter_count;
    if (argc > 2) {
        sh.parameters = copy_parameters(argv + 2, argc - 2);
        sh.parameter_count = argc - 2;
    }
    sh.source_depth++;
    bool found = run_file(path);
    int code = errno;
    sh.source_depth--;
    if (sh.unwinding == UNWIND_RETURN)
        sh.unwinding = UNWIND_NONE;
    if (argc > 2) {
        free_list(sh.parameters);
        sh.parameters = caller_parameters;
        sh.parameter_count = caller_count;
    }
    free(path);
    if (!found)
        raise_error(2, ".: %s: %s", argv[1], strerror(code));
    return sh.status;
}

int exec_builtin(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--") == 0) {
        argv++;
        argc--;
    }
    if (argc < 2)
        return 0;
    stop_job_control();
    reset_signals();
    forget_saved_descriptors();
    exec_command(argv + 1);
}

/* ---- command and type ---- */

/* Says what a name is; `short_form` is that of command -v. */
static bool describe_command(const char *name, bool short_form)
{
    const Alias *alias = find_alias(name);
    char *path;
    if (alias != NULL)
        printf(short_form ? "alias %s='%s'\n" : "%s is an alias for %s\n", name, alias->value);
    else if (is_reserved_word(name))
        printf(short_form ? "%s\n" : "%s is a shell keyword\n", name);
    else if (is_special(find_builtin(name)))
        printf(short_form ? "%s\n" : "%s is a special shell builtin\n", name);
    else if (find_function(name) != NULL)
        printf(short_form ? "%s\n" : "%s is a shell function\n", name);
    else if (find_builtin(name) != NULL)
        printf(short_form ? "%s\n" : "%s is a shell builtin\n", name);
    else if ((path = find_program(name)) != NULL) {
        if (short_form)
            puts(path);
        else
            printf("%s is %s\n", name, path);
        free(path);
    } else if (find_applet(name) != NULL)
        printf(short_form ? "%s\n" : "%s is an applet of vbox\n", name);
    else
        return false;
    return true;
}

int type_builtin(int argc, char **argv)
{
    int status = 0;
    for (int i = 1; i < argc; i++) {
        if (!describe_command(argv[i], false)) {
            printf("%s: not found\n", argv[i]);
            status = 127;
        }
    }
    return status;
}

int command_builtin(int argc, char **argv)
{
    int i = 1;
    char what = '\0';
    for (; i < argc && argv[i][0] == '-' && argv[i][1] != '\0'; i++) {
        if (strcmp(argv[i], "--") == 0) {
            i++;
            break;
        }
        if (argv[i][2] != '\0' || strchr("vVp", argv[i][1]) == NULL) {
            warn_text("command: %s: unknown option", argv[i]);
            return 2;
        }
        if (argv[i][1] != 'p')
            what = argv[i][1];
    }
    if (i >= argc)
        return 0;
    if (what == '\0')
        return run_arguments(argv + i, true, RUN_NORMALLY);
    int status = 0;
    for (; i < argc; i++) {
        if (!describe_command(argv[i], what == 'v')) {
            if (what == 'V')
                warn_text("%s: not found", argv[i]);
            status = 127;
        }
    }
    return status;
}
