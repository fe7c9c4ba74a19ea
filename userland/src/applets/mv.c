/* mv: renames files; across file systems it copies (by cp) and then removes. */

#include "vbox.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool move_across(const char *from, const char *to)
{
    char *copy[] = {"cp", "-a", "--", (char *)from, (char *)to, NULL};
    char *remove[] = {"rm", "-rf", "--", (char *)from, NULL};
    struct stat info;
    if (lstat(to, &info) == 0 && S_ISDIR(info.st_mode) && rmdir(to) != 0) {
        warn_errno(to);
        return false;
    }
    return run_program(copy) == 0 && run_program(remove) == 0;
}

static bool ask(const char *to)
{
    fprintf(stderr, "mv: overwrite %s? ", to);
    int answer = getchar();
    for (int c = answer; c != '\n' && c != EOF;)
        c = getchar();
    return answer == 'y' || answer == 'Y';
}

int mv_main(int argc, char **argv)
{
    bool interactive = false, no_clobber = false, verbose = false;
    for (int option; (option = next_option(argc, argv, "finv")) != -1;) {
        switch (option) {
        case 'f': interactive = no_clobber = false; break;
        case 'i': interactive = true; break;
        case 'n': no_clobber = true; break;
        case 'v': verbose = true; break;
        }
    }
    if (argc - optind < 2)
        fail_usage();
    const char *target = argv[argc - 1];
    bool target_is_folder = is_folder(target);
    if (argc - optind > 2 && !target_is_folder)
        die_text("%s: not a directory", target);
    int status = 0;
    for (int i = optind; i < argc - 1; i++) {
        char *name = base_name(argv[i]);
        char *to = target_is_folder ? join_path(target, name) : copy_string(target);
        struct stat info, old;
        bool exists = lstat(to, &info) == 0;
        if (exists && lstat(argv[i], &old) == 0 && old.st_dev == info.st_dev && old.st_ino == info.st_ino) {
            warn_text("%s and %s are the same file", argv[i], to);
            status = 1;
        } else if (!exists || (!no_clobber && (!interactive || ask(to)))) {
            bool fine = rename(argv[i], to) == 0;
            if (!fine && errno == EXDEV)
                fine = move_across(argv[i], to);
            else if (!fine)
                warn_errno(argv[i]);
            if (!fine)
                status = 1;
            else if (verbose)
                printf("renamed '%s' -> '%s'\n", argv[i], to);
        }
        free(name);
        free(to);
    }
    return status;
}
