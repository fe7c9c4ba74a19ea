/* Builtins on the shell's own state: variables, options, parameters, aliases, limits, the working directory. */

#include "sh/sh.h"
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/times.h>
#include <unistd.h>

ShellOption options[OPTION_COUNT] = {
    [OPTION_ALLEXPORT] = {'a', "allexport", false}, [OPTION_NOTIFY] = {'b', "notify", false},
    [OPTION_NOCLOBBER] = {'C', "noclobber", false}, [OPTION_ERREXIT] = {'e', "errexit", false},
    [OPTION_NOGLOB] = {'f', "noglob", false}, [OPTION_MONITOR] = {'m', "monitor", false},
    [OPTION_NOEXEC] = {'n', "noexec", false}, [OPTION_NOUNSET] = {'u', "nounset", false},
    [OPTION_VERBOSE] = {'v', "verbose", false}, [OPTION_XTRACE] = {'x', "xtrace", false},
    [OPTION_PIPEFAIL] = {0, "pipefail", false}, [OPTION_IGNOREEOF] = {0, "ignoreeof", false},
};

/* ---- set, shift ---- */

char **copy_parameters(char *const *list, int count)
{
    char **copy = allocate(((size_t)count + 1) * sizeof *copy);
    for (int i = 0; i < count; i++)
        copy[i] = copy_string(list[i]);
    copy[count] = NULL;
    return copy;
}

void set_parameters(char **list, int count)
{
    if (sh.parameters != NULL)
        free_list(sh.parameters);
    sh.parameters = list;
    sh.parameter_count = count;
}

static void set_option(ShellOption *option, bool on)
{
    if (option == &options[OPTION_MONITOR] && option->on != on && sh.interactive) {
        if (on)
            start_job_control();
        else
            stop_job_control();
    }
    option->on = on;
}

static ShellOption *find_option(char letter, const char *name)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        bool same = name != NULL ? strcmp(options[i].name, name) == 0 : letter != 0 && options[i].letter == letter;
        if (same)
            return &options[i];
    }
    return NULL;
}

static void print_options(bool as_commands)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (as_commands)
            printf("set %co %s\n", options[i].on ? '-' : '+', options[i].name);
        else
            printf("%-16s%s\n", options[i].name, options[i].on ? "on" : "off");
    }
}

int read_set_options(int argc, char **argv, bool *ended)
{
    int i = 1;
    *ended = false;
    for (; i < argc && (argv[i][0] == '-' || argv[i][0] == '+') && argv[i][1] != '\0'; i++) {
        bool on = argv[i][0] == '-';
        if (strcmp(argv[i], "--") == 0) {
            *ended = true;
            return i + 1;
        }
        for (const char *letter = argv[i] + 1; *letter != '\0'; letter++) {
            ShellOption *option;
            if (*letter == 'o') {
                if (i + 1 >= argc) {
                    print_options(!on);
                    return argc;
                }
                option = find_option(0, argv[++i]);
                if (option == NULL) {
                    warn_text("%s: no such option", argv[i]);
                    return -1;
                }
                set_option(option, on);
                break;
            }
            option = find_option(*letter, NULL);
            if (option == NULL) {
                warn_text("-%c: no such option", *letter);
                return -1;
            }
            set_option(option, on);
        }
    }
    return i;
}

int set_builtin(int argc, char **argv)
{
    if (argc == 1) {
        print_variables("", 0);
        return 0;
    }
    bool ended;
    int first = read_set_options(argc, argv, &ended);
    if (first < 0)
        raise_error(2, "set: usage: set [-abCefmnuvx] [-o option] [--] [argument]...");
    if (ended || first < argc)
        set_parameters(copy_parameters(argv + first, argc - first), argc - first);
    return 0;
}

int shift_builtin(int argc, char **argv)
{
    intmax_t count = 1;
    if (argc > 1 && (!parse_integer(argv[1], &count) || count < 0))
        raise_error(2, "shift: %s: bad number", argv[1]);
    if (count > sh.parameter_count) {
        warn_text("shift: %jd: only %d parameters", count, sh.parameter_count);
        return 1;
    }
    set_parameters(copy_parameters(sh.parameters + count, sh.parameter_count - (int)count),
        sh.parameter_count - (int)count);
    return 0;
}

/* ---- variables ---- */

/* name or name=value, for export, readonly and local. */
static void declare(const char *builtin, const char *word, int flags, bool local)
{
    size_t length = name_length(word);
    if (length == 0 || (word[length] != '\0' && word[length] != '='))
        raise_error(2, "%s: %s: bad variable name", builtin, word);
    char *name = copy_bytes(word, length);
    if (local) {
        make_local(name);
        if (word[length] == '\0')
            unset_variable(name);
    }
    if (word[length] == '=')
        set_variable(name, word + length + 1);
    if (flags != 0)
        add_variable_flags(name, flags);
    free(name);
}

static int declare_all(int argc, char **argv, int flags, const char *prefix)
{
    int i = 1;
    while (i < argc && (strcmp(argv[i], "-p") == 0 || strcmp(argv[i], "--") == 0))
        i++;
    if (i == argc)
        print_variables(prefix, flags);
    for (; i < argc; i++)
        declare(argv[0], argv[i], flags, false);
    return 0;
}

int export_builtin(int argc, char **argv)
{
    return declare_all(argc, argv, VARIABLE_EXPORTED, "export ");
}

int readonly_builtin(int argc, char **argv)
{
    return declare_all(argc, argv, VARIABLE_READONLY, "readonly ");
}

int local_builtin(int argc, char **argv)
{
    if (sh.function_depth == 0)
        raise_error(2, "local: not in a function");
    for (int i = 1; i < argc; i++)
        declare("local", argv[i], 0, true);
    return 0;
}

int unset_builtin(int argc, char **argv)
{
    int i = 1;
    bool functions_only = false, variables_only = false;
    for (; i < argc && argv[i][0] == '-'; i++) {
        functions_only = strcmp(argv[i], "-f") == 0;
        variables_only = strcmp(argv[i], "-v") == 0;
    }
    for (; i < argc; i++) {
        bool is_variable = get_variable(argv[i]) != NULL || variables_only;
        if (!functions_only && is_variable)
            unset_variable(argv[i]);
        else if (!variables_only)
            unset_function(argv[i]);
    }
    return 0;
}

/* ---- aliases ---- */

static void print_alias(const Alias *alias)
{
    printf("%s=", alias->name);
    print_quoted(alias->value, stdout);
    putchar('\n');
}

int alias_builtin(int argc, char **argv)
{
    int status = 0;
    for (const Alias *alias = aliases; argc == 1 && alias != NULL; alias = alias->next)
        if (*alias->name != '\0')
            print_alias(alias);
    for (int i = 1; i < argc; i++) {
        const char *equals = strchr(argv[i], '=');
        const Alias *alias = find_alias(argv[i]);
        if (equals != NULL && equals > argv[i]) {
            char *name = copy_bytes(argv[i], (size_t)(equals - argv[i]));
            define_alias(name, equals + 1);
            free(name);
        } else if (alias != NULL) {
            print_alias(alias);
        } else {
            warn_text("alias: %s: not found", argv[i]);
            status = 1;
        }
    }
    return status;
}

int unalias_builtin(int argc, char **argv)
{
    int status = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-a") == 0) {
            for (Alias *alias = aliases; alias != NULL; alias = alias->next)
                *alias->name = '\0';
        } else if (!remove_alias(argv[i])) {
            warn_text("unalias: %s: not found", argv[i]);
            status = 1;
        }
    }
    return status;
}

int hash_builtin(int argc, char **argv)
{
    (void)argc, (void)argv;
    return 0; /* programs are looked for each time: there is nothing to forget */
}

/* ---- the working directory ---- */

/* Takes "." and ".." out of an absolute path, by text alone (XCU, cd, step 8). */
static char *normalize(const char *path)
{
    Buffer result = {0};
    buffer_add_text(&result, "");
    while (*path != '\0') {
        size_t slashes = strspn(path, "/"), length = strcspn(path + slashes, "/");
        const char *component = path + slashes;
        path = component + length;
        if (length == 2 && strncmp(component, "..", 2) == 0) {
            char *slash = strrchr(result.data, '/');
            result.length = slash != NULL ? (size_t)(slash - result.data) : 0;
            result.data[result.length] = '\0';
        } else if (length > 0 && !(length == 1 && *component == '.')) {
            buffer_add_char(&result, '/');
            buffer_add(&result, component, length);
        }
    }
    if (result.length == 0)
        buffer_add_char(&result, '/');
    return buffer_take(&result);
}

/* The path that a name leads to, along CDPATH; *announce when it is not the name itself. */
static char *find_folder(const char *name, bool *announce)
{
    const char *search = get_variable("CDPATH");
    bool relative = name[0] != '/' && strcmp(name, ".") != 0 && strcmp(name, "..") != 0
        && strncmp(name, "./", 2) != 0 && strncmp(name, "../", 3) != 0;
    while (relative && search != NULL && *search != '\0') {
        size_t length = strcspn(search, ":");
        char *folder = copy_bytes(search, length);
        char *candidate = length > 0 ? join_path(folder, name) : copy_string(name);
        free(folder);
        if (is_folder(candidate)) {
            *announce = *announce || length > 0;
            return candidate;
        }
        free(candidate);
        search += length + (search[length] == ':');
    }
    return copy_string(name);
}

int cd_builtin(int argc, char **argv)
{
    bool physical = false, announce = false;
    int i = 1;
    for (; i < argc && argv[i][0] == '-' && argv[i][1] != '\0'; i++) {
        if (strcmp(argv[i], "--") == 0) {
            i++;
            break;
        }
        physical = strcmp(argv[i], "-P") == 0;
    }
    const char *target = i < argc ? argv[i] : get_variable("HOME");
    if (target != NULL && strcmp(target, "-") == 0) {
        target = get_variable("OLDPWD");
        announce = true;
    }
    if (target == NULL) {
        warn_text("cd: no directory to go to");
        return 1;
    }
    const char *before = get_variable("PWD");
    char *found = find_folder(target, &announce);
    char *joined = found[0] == '/' || before == NULL ? copy_string(found) : join_path(before, found);
    char *path = physical || joined[0] != '/' ? copy_string(found) : normalize(joined);
    int status = chdir(path) == 0 || chdir(found) == 0 ? 0 : 1;
    if (status != 0) {
        fflush(stdout);
        fprintf(stderr, "%s: cd: %s: %s\n", applet_name, target, strerror(errno));
    } else {
        char real[PATH_MAX];
        const char *now = physical || path[0] != '/' ? getcwd(real, sizeof real) : path;
        if (before != NULL)
            set_variable("OLDPWD", before);
        set_variable("PWD", now != NULL ? now : path);
        if (announce)
            puts(get_variable("PWD"));
    }
    free(found);
    free(joined);
    free(path);
    return status;
}

int pwd_builtin(int argc, char **argv)
{
    char real[PATH_MAX];
    const char *folder = get_variable("PWD");
    bool physical = argc > 1 && strcmp(argv[1], "-P") == 0;
    if (physical || folder == NULL)
        folder = getcwd(real, sizeof real);
    if (folder == NULL) {
        warn_errno("pwd");
        return 1;
    }
    puts(folder);
    return 0;
}

/* ---- limits ---- */

int umask_builtin(int argc, char **argv)
{
    mode_t mask = umask(0);
    umask(mask);
    bool symbolic = argc > 1 && strcmp(argv[1], "-S") == 0;
    if (argc == 1 + symbolic) {
        if (!symbolic) {
            printf("%04o\n", mask);
            return 0;
        }
        for (int shift = 6; shift >= 0; shift -= 3) {
            mode_t allowed = ~mask >> shift;
            printf("%c=%s%s%s%s", "ogu"[shift / 3], allowed & 4 ? "r" : "", allowed & 2 ? "w" : "",
                allowed & 1 ? "x" : "", shift > 0 ? "," : "\n");
        }
        return 0;
    }
    const char *text = argv[1 + symbolic];
    mode_t mode;
    bool octal = *text >= '0' && *text <= '7';
    if (!parse_mode(text, ~mask & 0777, false, 0, &mode) || (octal && mode > 0777)) {
        warn_text("umask: %s: bad mask", text);
        return 1;
    }
    umask(octal ? mode : ~mode & 0777);
    return 0;
}

static const struct {
    char letter;
    int resource;
    unsigned unit;
    const char *name;
} limits[] = {
    {'c', RLIMIT_CORE, 512, "core file size (blocks)"}, {'d', RLIMIT_DATA, 1024, "data size (KiB)"},
    {'f', RLIMIT_FSIZE, 512, "file size (blocks)"}, {'n', RLIMIT_NOFILE, 1, "open files"},
    {'s', RLIMIT_STACK, 1024, "stack size (KiB)"}, {'t', RLIMIT_CPU, 1, "cpu time (seconds)"},
    {'u', RLIMIT_NPROC, 1, "processes"}, {'v', RLIMIT_AS, 1024, "virtual memory (KiB)"},
};

static void print_limit(rlim_t value, unsigned unit)
{
    if (value == RLIM_INFINITY)
        puts("unlimited");
    else
        printf("%ju\n", (uintmax_t)value / unit);
}

int ulimit_builtin(int argc, char **argv)
{
    char letter = 'f';
    bool hard = false, soft = false;
    int i = 1;
    for (; i < argc && argv[i][0] == '-'; i++) {
        for (const char *option = argv[i] + 1; *option != '\0'; option++) {
            if (*option == 'H')
                hard = true;
            else if (*option == 'S')
                soft = true;
            else
                letter = *option;
        }
    }
    struct rlimit limit;
    for (size_t row = 0; row < COUNT_OF(limits); row++) {
        if (letter == 'a') {
            getrlimit(limits[row].resource, &limit);
            printf("-%c: %-28s", limits[row].letter, limits[row].name);
            print_limit(hard ? limit.rlim_max : limit.rlim_cur, limits[row].unit);
            continue;
        }
        if (limits[row].letter != letter)
            continue;
        getrlimit(limits[row].resource, &limit);
        if (i >= argc) {
            print_limit(hard ? limit.rlim_max : limit.rlim_cur, limits[row].unit);
            return 0;
        }
        intmax_t value = -1;
        bool unlimited = strcmp(argv[i], "unlimited") == 0;
        if (!unlimited && (!parse_integer(argv[i], &value) || value < 0)) {
            warn_text("ulimit: %s: bad number", argv[i]);
            return 1;
        }
        rlim_t wanted = unlimited ? RLIM_INFINITY : (rlim_t)value * limits[row].unit;
        if (!hard || soft)
            limit.rlim_cur = wanted;
        if (hard || !soft)
            limit.rlim_max = wanted;
        if (setrlimit(limits[row].resource, &limit) != 0) {
            warn_errno("ulimit");
            return 1;
        }
        return 0;
    }
    if (letter == 'a')
        return 0;
    warn_text("ulimit: -%c: unknown option", letter);
    return 2;
}

int times_builtin(int argc, char **argv)
{
    (void)argc, (void)argv;
    struct tms used;
    times(&used);
    double ticks = (double)sysconf(_SC_CLK_TCK);
    const clock_t values[] = {used.tms_utime, used.tms_stime, used.tms_cutime, used.tms_cstime};
    for (size_t i = 0; i < COUNT_OF(values); i++) {
        double seconds = (double)values[i] / ticks;
        int minutes = (int)(seconds / 60);
        printf("%dm%.2fs%c", minutes, seconds - minutes * 60, i % 2 == 0 ? ' ' : '\n');
    }
    return 0;
}
