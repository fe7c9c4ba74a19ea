/* time: runs a program and says how long it took. */

#include "vbox.h"
#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void print_row(const char *name, double seconds, bool posix)
{
    if (posix)
        fprintf(stderr, "%s %.2f\n", name, seconds);
    else
        fprintf(stderr, "%s\t%dm%.3fs\n", name, (int)(seconds / 60), seconds - (int)(seconds / 60) * 60);
}

int time_main(int argc, char **argv)
{
    bool posix = false, verbose = false;
    for (int option; (option = next_leading_option(argc, argv, "pv")) != -1;) {
        posix = posix || option == 'p';
        verbose = verbose || option == 'v';
    }
    if (optind >= argc)
        fail_usage();
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    pid_t pid = fork();
    if (pid < 0)
        die_errno("fork");
    if (pid == 0)
        exec_program(argv + optind);
    int status;
    struct rusage used;
    signal(SIGINT, SIG_IGN); /* the program decides */
    while (wait4(pid, &status, 0, &used) < 0)
        if (errno != EINTR)
            die_errno("wait");
    clock_gettime(CLOCK_MONOTONIC, &end);

    if (!posix)
        fputc('\n', stderr);
    print_row("real", (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9, posix);
    print_row("user", (double)used.ru_utime.tv_sec + (double)used.ru_utime.tv_usec / 1e6, posix);
    print_row("sys", (double)used.ru_stime.tv_sec + (double)used.ru_stime.tv_usec / 1e6, posix);
    if (verbose)
        fprintf(stderr, "maximum resident %ld KiB\nminor faults %ld\nmajor faults %ld\n", used.ru_maxrss,
            used.ru_minflt, used.ru_majflt);
    return status_of_wait(status);
}
