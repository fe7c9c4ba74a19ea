/* rmdir: removes empty folders, with -p their parents too. */

#include "vbox.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int rmdir_main(int argc, char **argv)
{
    bool parents = false;
    for (int option; (option = next_option(argc, argv, "p")) != -1;)
        parents = option == 'p';
    if (optind >= argc)
        fail_usage();
    int status = 0;
    for (int i = optind; i < argc; i++) {
        char *path = copy_string(argv[i]);
        bool more = true;
        while (more) {
            if (rmdir(path) != 0) {
                warn_errno(path);
                status = 1;
                break;
            }
            char *parent = folder_name(path);
            more = parents && strcmp(parent, ".") != 0 && strcmp(parent, "/") != 0;
            free(path);
            path = parent;
        }
        free(path);
    }
    return status;
}
