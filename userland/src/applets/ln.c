/* ln: makes links, symbolic with -s. */

#include "vbox.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int ln_main(int argc, char **argv)
{
    bool symbolic = false, force = false, no_follow = false, verbose = false;
    for (int option; (option = next_option(argc, argv, "sfnTv")) != -1;) {
        switch (option) {
        case 's': symbolic = true; break;
        case 'f': force = true; break;
        case 'n': case 'T': no_follow = true; break;
        case 'v': verbose = true; break;
        }
    }
    int count = argc - optind;
    if (count < 1)
        fail_usage();
    const char *target = count == 1 ? "." : argv[argc - 1];
    int last = count == 1 ? argc : argc - 1;
    struct stat info;
    bool target_is_link = lstat(target, &info) == 0 && S_ISLNK(info.st_mode);
    bool into = is_folder(target) && !(no_follow && target_is_link);
    if (last - optind > 1 && !into)
        die_text("%s: not a directory", target);
    int status = 0;
    for (int i = optind; i < last; i++) {
        char *name = base_name(argv[i]);
        char *path = into ? join_path(target, name) : copy_string(target);
        if (force && lstat(path, &info) == 0 && !S_ISDIR(info.st_mode))
            unlink(path);
        int failed = symbolic ? symlink(argv[i], path) : link(argv[i], path);
        if (failed != 0) {
            warn_errno(path);
            status = 1;
        } else if (verbose) {
            printf("'%s' -> '%s'\n", path, argv[i]);
        }
        free(name);
        free(path);
    }
    return status;
}
