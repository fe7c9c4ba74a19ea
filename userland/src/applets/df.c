/* df: how full the mounted file systems are. */

#include "vbox.h"
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

static bool human, show_inodes, show_type, show_all;
static int status;

static void print_amount(uintmax_t bytes, int width)
{
    char text[16];
    if (human)
        printf(" %*s", width, format_human_size(text, bytes));
    else
        printf(" %*ju", width, bytes / 1024);
}

static void print_file_system(const char *device, const char *folder, const char *type)
{
    struct statvfs info;
    if (statvfs(folder, &info) != 0) {
        warn_errno(folder);
        status = 1;
        return;
    }
    if (info.f_blocks == 0 && !show_all)
        return; /* such as /proc */
    printf("%-20s", device);
    if (show_type)
        printf(" %-8s", type);
    uintmax_t used, unused;
    if (show_inodes) {
        used = info.f_files - info.f_ffree;
        unused = info.f_ffree;
        printf(" %10ju %10ju %10ju", (uintmax_t)info.f_files, used, unused);
    } else {
        used = (info.f_blocks - info.f_bfree) * (uintmax_t)info.f_frsize;
        unused = info.f_bavail * (uintmax_t)info.f_frsize;
        print_amount(info.f_blocks * (uintmax_t)info.f_frsize, 10);
        print_amount(used, 10);
        print_amount(unused, 10);
    }
    uintmax_t whole = used + unused;
    if (whole > 0)
        printf(" %3ju%%", used / whole * 100 + (used % whole * 100 + whole - 1) / whole);
    else
        printf("    -");
    printf(" %s\n", folder);
}

/* Whether the mount is the one that holds a path: the longest mount point that is a prefix of it. */
static size_t match_mount(const char *folder, const char *path)
{
    size_t length = strlen(folder);
    if (strcmp(folder, "/") == 0)
        return 1;
    bool inside = strncmp(folder, path, length) == 0 && (path[length] == '/' || path[length] == '\0');
    return inside ? length + 1 : 0;
}

int df_main(int argc, char **argv)
{
    for (int option; (option = next_option(argc, argv, "hkiTaP")) != -1;) {
        human = human || option == 'h';
        show_inodes = show_inodes || option == 'i';
        show_type = show_type || option == 'T';
        show_all = show_all || option == 'a';
    }
    char *mounts = read_file("/proc/mounts", NULL);
    if (mounts == NULL)
        die_errno("/proc/mounts");
    printf("%-20s%s %10s %10s %10s %4s %s\n", "Filesystem", show_type ? " Type    " : "",
        show_inodes ? "Inodes" : human ? "Size" : "1K-blocks", "Used", "Available", "Use%", "Mounted on");
    for (int i = optind; i < argc || i == optind; i++) {
        char *path = i < argc ? resolve_path(argv[i], false) : NULL;
        if (i < argc && path == NULL) {
            warn_errno(argv[i]);
            status = 1;
            continue;
        }
        char *text = copy_string(mounts), *rest = text, *best[3] = {NULL};
        size_t best_length = 0;
        for (char *line; (line = strsep(&rest, "\n")) != NULL && *line != '\0';) {
            char *fields[3] = {NULL};
            for (int f = 0; f < 3; f++)
                fields[f] = strsep(&line, " ");
            if (fields[2] == NULL)
                continue;
            if (path == NULL) {
                print_file_system(fields[0], fields[1], fields[2]);
            } else if (match_mount(fields[1], path) >= best_length) {
                best_length = match_mount(fields[1], path);
                memcpy(best, fields, sizeof best);
            }
        }
        if (best[0] != NULL && best_length > 0) {
            show_all = true;
            print_file_system(best[0], best[1], best[2]);
        }
        free(text);
        free(path);
    }
    free(mounts);
    return status;
}
