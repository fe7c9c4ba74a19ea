/* mkdir: makes folders, with -p their parents too. */

#include "vbox.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Makes each missing parent; false with errno. */
static bool make_parents(const char *path)
{
    char *copy = copy_string(path);
    bool fine = true;
    for (char *slash = strchr(copy + 1, '/'); fine && slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        /* A parent stays writable for its owner whatever the umask, or the child could not be made. */
        fine = mkdir(copy, 0777) == 0 || errno == EEXIST || is_folder(copy);
        *slash = '/';
    }
    free(copy);
    return fine;
}

int mkdir_main(int argc, char **argv)
{
    bool parents = false, verbose = false;
    const char *mode_text = NULL;
    for (int option; (option = next_option(argc, argv, "pvm:")) != -1;) {
        switch (option) {
        case 'p': parents = true; break;
        case 'v': verbose = true; break;
        case 'm': mode_text = optarg; break;
        }
    }
    mode_t mode = 0777;
    if (mode_text != NULL && !parse_mode(mode_text, 0777, true, 0, &mode))
        die_text("%s: bad mode", mode_text);
    if (optind >= argc)
        fail_usage();
    int status = 0;
    for (int i = optind; i < argc; i++) {
        bool fine = (!parents || make_parents(argv[i])) && mkdir(argv[i], mode) == 0;
        if (fine && mode_text != NULL)
            chmod(argv[i], mode); /* -m is not subject to the umask */
        if (fine && verbose)
            printf("mkdir: created directory '%s'\n", argv[i]);
        if (!fine && !(parents && errno == EEXIST && is_folder(argv[i]))) {
            warn_errno(argv[i]);
            status = 1;
        }
    }
    return status;
}
