/* mount and umount. */

#include "vbox.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

static const struct {
    const char *name;
    unsigned long set, clear;
} mount_options[] = {
    {"ro", MS_RDONLY, 0}, {"rw", 0, MS_RDONLY}, {"nosuid", MS_NOSUID, 0}, {"suid", 0, MS_NOSUID},
    {"nodev", MS_NODEV, 0}, {"dev", 0, MS_NODEV}, {"noexec", MS_NOEXEC, 0}, {"exec", 0, MS_NOEXEC},
    {"noatime", MS_NOATIME, 0}, {"remount", MS_REMOUNT, 0}, {"bind", MS_BIND, 0}, {"rbind", MS_BIND | MS_REC, 0},
    {"defaults", 0, 0},
};

/* Takes what the kernel has flags for; the rest is for the file system, gathered in `data`. */
static void read_mount_options(char *text, unsigned long *flags, Buffer *data)
{
    for (char *name; (name = strsep(&text, ",")) != NULL;) {
        size_t i = 0;
        while (i < COUNT_OF(mount_options) && strcmp(mount_options[i].name, name) != 0)
            i++;
        if (i < COUNT_OF(mount_options)) {
            *flags = (*flags | mount_options[i].set) & ~mount_options[i].clear;
            continue;
        }
        if (data->length > 0)
            buffer_add_char(data, ',');
        buffer_add_text(data, name);
    }
}

static int print_mounts(void)
{
    char *text = read_file("/proc/mounts", NULL);
    if (text == NULL)
        die_errno("/proc/mounts");
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n")) != NULL && *line != '\0';) {
        char *device = strsep(&line, " "), *folder = strsep(&line, " "), *type = strsep(&line, " ");
        char *flags = strsep(&line, " ");
        if (flags != NULL)
            printf("%s on %s type %s (%s)\n", device, folder, type, flags);
    }
    free(text);
    return 0;
}

int mount_main(int argc, char **argv)
{
    const char *type = NULL;
    unsigned long flags = 0;
    Buffer data = {0};
    buffer_add_text(&data, "");
    for (int option; (option = next_option(argc, argv, "t:o:rw")) != -1;) {
        switch (option) {
        case 't': type = optarg; break;
        case 'o': read_mount_options(optarg, &flags, &data); break;
        case 'r': flags |= MS_RDONLY; break;
        case 'w': flags &= ~(unsigned long)MS_RDONLY; break;
        }
    }
    if (optind == argc)
        return print_mounts();
    bool remounts = (flags & MS_REMOUNT) && argc - optind == 1;
    if (argc - optind != 2 && !remounts)
        fail_usage();
    const char *device = argv[optind], *folder = argv[argc - 1];
    if (mount(device, folder, type, flags, data.length > 0 ? data.data : NULL) != 0)
        die_errno(folder);
    return 0;
}

int umount_main(int argc, char **argv)
{
    int flags = 0, status = 0;
    for (int option; (option = next_option(argc, argv, "lf")) != -1;)
        flags |= option == 'l' ? MNT_DETACH : MNT_FORCE;
    if (optind >= argc)
        fail_usage();
    for (int i = optind; i < argc; i++) {
        if (umount2(argv[i], flags) != 0) {
            warn_errno(argv[i]);
            status = 1;
        }
    }
    return status;
}
