/* kill: sends a signal. It runs in the shell too, for %jobs. */

#include "vbox.h"
#include <string.h>

static int list_signals(int argc, char **argv)
{
    int first = argc > 2 && strcmp(argv[2], "--") == 0 ? 3 : 2;
    if (first == argc) {
        print_signal_list(stdout);
        return 0;
    }
    for (int i = first; i < argc; i++) {
        intmax_t number;
        if (!parse_integer(argv[i], &number)) {
            printf("%d\n", parse_signal(argv[i]));
            continue;
        }
        const char *name = find_signal_name((int)(number > 128 ? number - 128 : number)); /* $? of one that died */
        if (name != NULL)
            puts(name);
        else
            printf("%jd\n", number);
    }
    return 0;
}

int kill_main(int argc, char **argv)
{
    int number = SIGTERM, first = 1;
    if (argc > 1 && strcmp(argv[1], "-l") == 0)
        return list_signals(argc, argv);
    if (argc > 2 && (strcmp(argv[1], "-s") == 0 || strcmp(argv[1], "-n") == 0)) {
        number = parse_signal(argv[2]);
        first = 3;
    } else if (argc > 1 && argv[1][0] == '-' && strcmp(argv[1], "--") != 0) {
        number = parse_signal(argv[1] + 1);
        first = 2;
    }
    if (first < argc && strcmp(argv[first], "--") == 0)
        first++;
    if (number < 0 || first >= argc) {
        fputs(number < 0 ? "kill: no such signal\n" : "usage: kill [-SIGNAL] PID...\n", stderr);
        return 2;
    }
    int status = 0;
    for (; first < argc; first++) {
        intmax_t pid;
        if (!parse_integer(argv[first], &pid)) {
            warn_text("%s: not a process id", argv[first]);
            status = 1;
        } else if (kill((pid_t)pid, number) != 0) {
            warn_errno(argv[first]);
            status = 1;
        }
    }
    return status;
}
