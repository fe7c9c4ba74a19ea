/* The table of builtins, and those that print or test and are applets too. */

#include "sh/sh.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* An applet that neither exits nor leaks runs in the shell's own process. */
static int run_shared_applet(int argc, char **argv)
{
    return run_applet(find_applet(argv[0]), argc, argv);
}

int colon_builtin(int argc, char **argv)
{
    (void)argc, (void)argv;
    return 0;
}

const Builtin builtins[] = {
    {".", dot_builtin, BUILTIN_SPECIAL},
    {":", colon_builtin, BUILTIN_SPECIAL},
    {"[", run_shared_applet, BUILTIN_REGULAR},
    {"alias", alias_builtin, BUILTIN_REGULAR},
    {"bg", bg_builtin, BUILTIN_REGULAR},
    {"break", break_builtin, BUILTIN_SPECIAL},
    {"cd", cd_builtin, BUILTIN_REGULAR},
    {"command", command_builtin, BUILTIN_REGULAR},
    {"continue", continue_builtin, BUILTIN_SPECIAL},
    {"echo", run_shared_applet, BUILTIN_REGULAR},
    {"eval", eval_builtin, BUILTIN_SPECIAL},
    {"exec", exec_builtin, BUILTIN_SPECIAL},
    {"exit", exit_builtin, BUILTIN_SPECIAL},
    {"export", export_builtin, BUILTIN_DECLARATION},
    {"false", run_shared_applet, BUILTIN_REGULAR},
    {"fg", fg_builtin, BUILTIN_REGULAR},
    {"getopts", getopts_builtin, BUILTIN_REGULAR},
    {"hash", hash_builtin, BUILTIN_REGULAR},
    {"help", help_builtin, BUILTIN_REGULAR},
    {"history", history_builtin, BUILTIN_REGULAR},
    {"jobs", jobs_builtin, BUILTIN_REGULAR},
    {"kill", kill_builtin, BUILTIN_REGULAR},
    {"local", local_builtin, BUILTIN_DECLARATION},
    {"printf", run_shared_applet, BUILTIN_REGULAR},
    {"pwd", pwd_builtin, BUILTIN_REGULAR},
    {"read", read_builtin, BUILTIN_REGULAR},
    {"readonly", readonly_builtin, BUILTIN_DECLARATION},
    {"return", return_builtin, BUILTIN_SPECIAL},
    {"set", set_builtin, BUILTIN_SPECIAL},
    {"shift", shift_builtin, BUILTIN_SPECIAL},
    {"test", run_shared_applet, BUILTIN_REGULAR},
    {"times", times_builtin, BUILTIN_SPECIAL},
    {"trap", trap_builtin, BUILTIN_SPECIAL},
    {"true", run_shared_applet, BUILTIN_REGULAR},
    {"type", type_builtin, BUILTIN_REGULAR},
    {"ulimit", ulimit_builtin, BUILTIN_REGULAR},
    {"umask", umask_builtin, BUILTIN_REGULAR},
    {"unalias", unalias_builtin, BUILTIN_REGULAR},
    {"unset", unset_builtin, BUILTIN_SPECIAL},
    {"wait", wait_builtin, BUILTIN_REGULAR},
};

const size_t builtin_count = COUNT_OF(builtins);

const Builtin *find_builtin(const char *name)
{
    size_t low = 0, high = COUNT_OF(builtins); /* the table is sorted */
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strcmp(name, builtins[middle].name);
        if (order == 0)
            return &builtins[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

bool is_special(const Builtin *builtin)
{
    return builtin != NULL && (builtin->kind == BUILTIN_SPECIAL
        || (builtin->kind == BUILTIN_DECLARATION && builtin->main != local_builtin));
}

int run_builtin(const Builtin *builtin, char **argv)
{
    int argc = 0;
    while (argv[argc] != NULL)
        argc++;
    int status = builtin->main(argc, argv);
    if (!flush_output() && status == 0)
        status = 1;
    return status;
}

int help_builtin(int argc, char **argv)
{
    (void)argc, (void)argv;
    puts("builtins of this shell:");
    int width = 0;
    for (size_t i = 0; i < COUNT_OF(builtins); i++) {
        width += printf("  %s", builtins[i].name);
        if (width > 68) {
            putchar('\n');
            width = 0;
        }
    }
    puts("\n`vbox` lists the programs; `PROGRAM --help` explains one.");
    return 0;
}
