/* basename, dirname: the two halves of a path. */

#include "vbox.h"
#include <stdlib.h>
#include <string.h>

int basename_main(int argc, char **argv)
{
    if (argc < 2 || argc > 3)
        fail_usage();
    char *name = base_name(argv[1]);
    size_t length = strlen(name), suffix = argc > 2 ? strlen(argv[2]) : 0;
    if (suffix > 0 && suffix < length && strcmp(name + length - suffix, argv[2]) == 0)
        name[length - suffix] = '\0';
    puts(name);
    free(name);
    return 0;
}

int dirname_main(int argc, char **argv)
{
    if (argc < 2)
        fail_usage();
    for (int i = 1; i < argc; i++) {
        char *folder = folder_name(argv[i]);
        puts(folder);
        free(folder);
    }
    return 0;
}
