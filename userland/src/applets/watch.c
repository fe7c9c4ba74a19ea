/* watch: runs a program again and again, full-screen. */

#include "vbox.h"
#include <stdlib.h>
#include <string.h>

int watch_main(int argc, char **argv)
{
    struct timespec pause = {.tv_sec = 2};
    bool title = true;
    for (int option; (option = next_leading_option(argc, argv, "n:t")) != -1;) {
        if (option == 't')
            title = false;
        else if (!parse_seconds(optarg, &pause))
            die_text("%s: bad interval", optarg);
    }
    if (optind >= argc)
        fail_usage();
    Buffer command = {0};
    for (int i = optind; i < argc; i++) {
        if (i > optind)
            buffer_add_char(&command, ' ');
        buffer_add_text(&command, argv[i]);
    }
    char *shell[] = {"sh", "-c", command.data, NULL};
    for (;;) {
        fputs("\33[H\33[2J", stdout);
        if (title)
            printf("Every %.1fs: %s\n\n", (double)pause.tv_sec + (double)pause.tv_nsec / 1e9, command.data);
        if (!flush_output())
            return 1;
        run_program(shell);
        nanosleep(&pause, NULL);
    }
}
