/* which: where along PATH a program is. */

#include "vbox.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool print_places(const char *name, bool all)
{
    if (strchr(name, '/') != NULL) {
        bool runs = access(name, X_OK) == 0 && !is_folder(name);
        if (runs)
            puts(name);
        return runs;
    }
    bool found = false;
    const char *path = getenv("PATH");
    for (const char *folder = path != NULL ? path : "/bin:/usr/bin"; folder != NULL && (all || !found);) {
        size_t length = strcspn(folder, ":");
        char *prefix = copy_bytes(folder, length), *candidate = join_path(*prefix != '\0' ? prefix : ".", name);
        if (access(candidate, X_OK) == 0 && !is_folder(candidate)) {
            puts(candidate);
            found = true;
        }
        free(prefix);
        free(candidate);
        folder = folder[length] == ':' ? folder + length + 1 : NULL;
    }
    return found;
}

int which_main(int argc, char **argv)
{
    bool all = false;
    for (int option; (option = next_option(argc, argv, "a")) != -1;)
        all = option == 'a';
    int status = optind < argc ? 0 : 1;
    for (int i = optind; i < argc; i++)
        if (!print_places(argv[i], all))
            status = 1;
    return status;
}
