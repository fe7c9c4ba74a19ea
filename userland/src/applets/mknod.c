/* mknod, mkfifo: make device files and named pipes. */

#include "vbox.h"
#include <string.h>
#include <sys/sysmacros.h>

static mode_t read_mode(int argc, char **argv)
{
    mode_t mode = 0666;
    for (int option; (option = next_option(argc, argv, "m:")) != -1;)
        if (!parse_mode(optarg, 0666, false, 0, &mode))
            die_text("%s: bad mode", optarg);
    return mode;
}

int mknod_main(int argc, char **argv)
{
    mode_t mode = read_mode(argc, argv);
    if (argc - optind < 2)
        fail_usage();
    const char *path = argv[optind], *type = argv[optind + 1];
    mode_t kind = *type == 'b' ? S_IFBLK : *type == 'c' || *type == 'u' ? S_IFCHR : *type == 'p' ? S_IFIFO : 0;
    intmax_t numbers[2] = {0, 0};
    bool is_device = kind == S_IFBLK || kind == S_IFCHR;
    if (kind == 0 || argc - optind != (is_device ? 4 : 2))
        fail_usage();
    for (int i = 0; is_device && i < 2; i++)
        if (!parse_integer(argv[optind + 2 + i], &numbers[i]) || numbers[i] < 0)
            die_text("%s: bad number", argv[optind + 2 + i]);
    if (mknod(path, kind | mode, makedev((unsigned)numbers[0], (unsigned)numbers[1])) != 0)
        die_errno(path);
    return 0;
}

int mkfifo_main(int argc, char **argv)
{
    mode_t mode = read_mode(argc, argv);
    if (optind >= argc)
        fail_usage();
    int status = 0;
    for (int i = optind; i < argc; i++) {
        if (mkfifo(argv[i], mode) != 0) {
            warn_errno(argv[i]);
            status = 1;
        }
    }
    return status;
}
