/* readlink: where a link leads; -f and realpath: the path without any link. */

#include "vbox.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int print_resolved(char **paths, bool may_be_missing, bool newline, bool quiet)
{
    int status = 0;
    for (; *paths != NULL; paths++) {
        char *path = resolve_path(*paths, may_be_missing);
        if (path == NULL) {
            if (!quiet)
                warn_errno(*paths);
            status = 1;
            continue;
        }
        printf(newline ? "%s\n" : "%s", path);
        free(path);
    }
    return status;
}

int readlink_main(int argc, char **argv)
{
    bool newline = true, resolve = false, must_exist = false;
    for (int option; (option = next_option(argc, argv, "fenmq")) != -1;) {
        newline = newline && option != 'n';
        resolve = resolve || option == 'f' || option == 'e' || option == 'm';
        must_exist = must_exist || option == 'e';
    }
    if (optind >= argc)
        fail_usage();
    if (resolve)
        return print_resolved(argv + optind, !must_exist, newline, true);
    int status = 0;
    for (int i = optind; i < argc; i++) {
        char target[PATH_MAX];
        ssize_t length = readlink(argv[i], target, sizeof target);
        if (length < 0)
            status = 1;
        else
            printf("%.*s%s", (int)length, target, newline ? "\n" : "");
    }
    return status;
}

int realpath_main(int argc, char **argv)
{
    bool must_exist = false, quiet = false;
    for (int option; (option = next_option(argc, argv, "eqm")) != -1;) {
        must_exist = must_exist || option == 'e';
        quiet = quiet || option == 'q';
    }
    if (optind >= argc)
        fail_usage();
    return print_resolved(argv + optind, !must_exist, true, quiet);
}
