/* du: how much room trees take, in KiB. */

#include "vbox.h"
#include <stdlib.h>
#include <string.h>

static bool summary, all, human, apparent;
static int most_depth = INT32_MAX;

static void print_size(uintmax_t bytes, const char *path)
{
    char text[16];
    if (human)
        printf("%s\t%s\n", format_human_size(text, bytes), path);
    else
        printf("%ju\t%s\n", (bytes + 1023) / 1024, path);
}

static uintmax_t measure(const char *path, int depth, int *status)
{
    struct stat info;
    if (lstat(path, &info) != 0) {
        warn_errno(path);
        *status = 1;
        return 0;
    }
    uintmax_t total = apparent ? (uintmax_t)info.st_size : (uintmax_t)info.st_blocks * 512;
    bool folder = S_ISDIR(info.st_mode);
    char **names = folder ? list_folder(path) : NULL;
    if (folder && names == NULL) {
        warn_errno(path);
        *status = 1;
    }
    for (char **name = names; name != NULL && *name != NULL; name++) {
        char *child = join_path(path, *name);
        total += measure(child, depth + 1, status);
        free(child);
    }
    if (names != NULL)
        free_list(names);
    bool shown = depth == 0 || (depth <= most_depth && !summary && (folder || all));
    if (shown)
        print_size(total, path);
    return total;
}

int du_main(int argc, char **argv)
{
    static char *here[] = {".", NULL};
    for (int option; (option = next_option(argc, argv, "sahkbd:")) != -1;) {
        intmax_t depth;
        switch (option) {
        case 's': summary = true; break;
        case 'a': all = true; break;
        case 'h': human = true; break;
        case 'b': apparent = true; break;
        case 'd':
            if (!parse_integer(optarg, &depth) || depth < 0 || depth > INT32_MAX)
                die_text("%s: bad depth", optarg);
            most_depth = (int)depth;
            break;
        }
    }
    int status = 0;
    for (char **path = optind < argc ? argv + optind : here; *path != NULL; path++)
        measure(*path, 0, &status);
    return status;
}
