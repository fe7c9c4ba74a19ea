/* tee: copies standard input to standard output and to files. */

#include "vbox.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int tee_main(int argc, char **argv)
{
    bool append = false;
    for (int option; (option = next_option(argc, argv, "ai")) != -1;) {
        if (option == 'a')
            append = true;
        else
            signal(SIGINT, SIG_IGN);
    }
    int count = argc - optind, status = 0;
    int *outputs = allocate(((size_t)count + 1) * sizeof *outputs);
    outputs[0] = 1;
    for (int i = 0; i < count; i++) {
        const char *path = argv[optind + i];
        outputs[i + 1] = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (append ? O_APPEND : O_TRUNC), 0666);
        if (outputs[i + 1] < 0) {
            warn_errno(path);
            status = 1;
        }
    }
    char block[4096];
    ssize_t length;
    while ((length = read(0, block, sizeof block)) != 0) {
        if (length < 0 && errno == EINTR)
            continue;
        if (length < 0)
            die_errno("standard input");
        for (int i = 0; i <= count; i++) {
            if (outputs[i] < 0 || write_all(outputs[i], block, (size_t)length))
                continue;
            warn_errno(i == 0 ? "standard output" : argv[optind + i - 1]);
            outputs[i] = -1;
            status = 1;
        }
    }
    return status;
}
