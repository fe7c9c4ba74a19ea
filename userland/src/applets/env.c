/* env: runs a program with a changed environment, or prints it; printenv prints values. */

#include "vbox.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

int env_main(int argc, char **argv)
{
    static char *empty[] = {NULL};
    for (int option; (option = next_leading_option(argc, argv, "iu:C:")) != -1;) {
        if (option == 'i')
            environ = empty;
        else if (option == 'u')
            unsetenv(optarg);
        else if (chdir(optarg) != 0)
            die_errno(optarg);
    }
    if (optind < argc && strcmp(argv[optind], "-") == 0) {
        environ = empty;
        optind++;
    }
    for (; optind < argc && strchr(argv[optind], '=') != NULL; optind++)
        if (*argv[optind] == '=' || putenv(argv[optind]) != 0)
            die_text("%s: bad variable", argv[optind]);
    if (optind < argc)
        exec_program(argv + optind);
    for (char **entry = environ; *entry != NULL; entry++)
        puts(*entry);
    return 0;
}

int printenv_main(int argc, char **argv)
{
    int status = 0;
    for (char **entry = environ; argc == 1 && *entry != NULL; entry++)
        puts(*entry);
    for (int i = 1; i < argc; i++) {
        const char *value = getenv(argv[i]);
        if (value != NULL)
            puts(value);
        else
            status = 1;
    }
    return status;
}
