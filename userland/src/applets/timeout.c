/*
 * timeout: runs a program, and stops it when it takes too long; the status is then 124.
 *
 * A second child keeps the time. Unlike a signal handler, it cannot fall into the gap between a check and a wait. It
 * says that the time is over in memory that both share, before it sends the signal.
 */

#include "vbox.h"
#include <errno.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static int wait_for(pid_t pid)
{
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            die_errno("wait");
    return status;
}

static _Noreturn void keep_time(struct timespec left, pid_t pid, int number, volatile bool *expired)
{
    while (nanosleep(&left, &left) != 0)
        continue;
    *expired = true;
    kill(pid, number);
    kill(pid, SIGCONT);
    _exit(0);
}

int timeout_main(int argc, char **argv)
{
    int number = SIGTERM;
    for (int option; (option = next_leading_option(argc, argv, "s:")) != -1;)
        if ((number = parse_signal(optarg)) < 0)
            die_text("%s: no such signal", optarg);
    struct timespec limit;
    if (argc - optind < 2)
        fail_usage();
    if (!parse_seconds(argv[optind], &limit))
        die_text("%s: bad duration", argv[optind]);
    volatile bool *expired = mmap(NULL, sizeof *expired, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (expired == MAP_FAILED)
        die_errno("mmap");
    pid_t pid = fork();
    if (pid < 0)
        die_errno("fork");
    if (pid == 0)
        exec_program(argv + optind + 1);
    pid_t watcher = fork();
    if (watcher == 0)
        keep_time(limit, pid, number, expired);
    if (watcher < 0) {
        warn_errno("fork");
        kill(pid, SIGKILL);
    }
    int status = wait_for(pid);
    if (watcher < 0)
        return 125;
    kill(watcher, SIGKILL);
    wait_for(watcher);
    return !*expired ? status_of_wait(status) : number == SIGKILL ? 128 + SIGKILL : 124;
}
