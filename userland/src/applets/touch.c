/* touch: makes files, or sets their times. */

#include "vbox.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* [[CC]YY]MMDDhhmm[.ss], and with -d also YYYY-MM-DD hh:mm:ss and @SECONDS. */
static bool parse_time(const char *text, struct timespec *when)
{
    static const char *const formats[] = {"%Y%m%d%H%M.%S", "%Y%m%d%H%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S",
        "%Y-%m-%d %H:%M", "%Y-%m-%d"};
    intmax_t seconds;
    if (*text == '@' && parse_integer(text + 1, &seconds)) {
        *when = (struct timespec){.tv_sec = (time_t)seconds};
        return true;
    }
    for (size_t i = 0; i < COUNT_OF(formats); i++) {
        struct tm parts = {.tm_isdst = -1};
        const char *end = strptime(text, formats[i], &parts);
        if (end != NULL && *end == '\0') {
            *when = (struct timespec){.tv_sec = mktime(&parts)};
            return true;
        }
    }
    return false;
}

int touch_main(int argc, char **argv)
{
    struct timespec times[2] = {{.tv_nsec = UTIME_NOW}, {.tv_nsec = UTIME_NOW}};
    bool no_create = false, access_only = false, modify_only = false;
    for (int option; (option = next_option(argc, argv, "camt:d:r:")) != -1;) {
        struct stat info;
        switch (option) {
        case 'c': no_create = true; break;
        case 'a': access_only = true; break;
        case 'm': modify_only = true; break;
        case 't': case 'd':
            if (!parse_time(optarg, &times[0]))
                die_text("%s: bad time", optarg);
            times[1] = times[0];
            break;
        case 'r':
            if (stat(optarg, &info) != 0)
                die_errno(optarg);
            times[0] = info.st_atim;
            times[1] = info.st_mtim;
            break;
        }
    }
    if (access_only && !modify_only)
        times[1].tv_nsec = UTIME_OMIT;
    if (modify_only && !access_only)
        times[0].tv_nsec = UTIME_OMIT;
    if (optind >= argc)
        fail_usage();
    int status = 0;
    for (int i = optind; i < argc; i++) {
        bool fine = utimensat(AT_FDCWD, argv[i], times, 0) == 0;
        if (!fine && errno == ENOENT && no_create)
            continue;
        if (!fine && errno == ENOENT) {
            int fd = open(argv[i], O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
            fine = fd >= 0 && futimens(fd, times) == 0;
            if (fd >= 0)
                close(fd);
        }
        if (!fine) {
            warn_errno(argv[i]);
            status = 1;
        }
    }
    return status;
}
