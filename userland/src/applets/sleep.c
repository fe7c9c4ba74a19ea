/* sleep: waits; fractions and the suffixes s, m, h, d are understood. */

#include "vbox.h"
#include <errno.h>

int sleep_main(int argc, char **argv)
{
    if (argc < 2)
        fail_usage();
    for (int i = 1; i < argc; i++) {
        struct timespec left;
        if (!parse_seconds(argv[i], &left))
            die_text("%s: bad duration", argv[i]);
        while (nanosleep(&left, &left) != 0 && errno == EINTR)
            continue;
    }
    return 0;
}
