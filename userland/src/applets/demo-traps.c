/*
 * demo-traps [ROUNDS]: counts how often a program enters the kernel in a second, by system calls and by page faults,
 * on the kernel's own clock.
 */

#include "vbox.h"
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void report(const char *what, intmax_t count, double seconds)
{
    printf("%-28s %9jd in %9.6f s", what, count, seconds);
    if (seconds > 0)
        printf(", %11.0f a second, %9.0f ns each", (double)count / seconds, seconds / (double)count * 1e9);
    putchar('\n');
    fflush(stdout);
}

static void measure_calls(intmax_t rounds)
{
    double start = now();
    for (intmax_t i = 0; i < rounds; i++)
        syscall(SYS_getppid);
    report("getppid", rounds, now() - start);
}

static void measure_clock(intmax_t rounds)
{
    struct timespec time;
    double start = now();
    for (intmax_t i = 0; i < rounds; i++)
        syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &time);
    report("clock_gettime", rounds, now() - start);
}

static void measure_faults(intmax_t rounds)
{
    size_t page_size = (size_t)getpagesize(), size = (size_t)rounds * page_size;
    volatile char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        die_errno("mmap");
    madvise((void *)memory, size, MADV_NOHUGEPAGE);
    double start = now();
    for (intmax_t i = 0; i < rounds; i++)
        memory[(size_t)i * page_size] = 1;
    report("page fault (demand zero)", rounds, now() - start);
    munmap((void *)memory, size);
}

static void measure_fork(intmax_t rounds)
{
    double start = now();
    for (intmax_t i = 0; i < rounds; i++) {
        pid_t pid = fork();
        if (pid < 0)
            die_errno("fork");
        if (pid == 0)
            _exit(0);
        waitpid(pid, NULL, 0);
    }
    report("fork, exit and wait", rounds, now() - start);
}

static void measure_exec(intmax_t rounds)
{
    double start = now();
    for (intmax_t i = 0; i < rounds; i++) {
        pid_t pid = fork();
        if (pid < 0)
            die_errno("fork");
        if (pid == 0) {
            execl("/proc/self/exe", "true", (char *)NULL);
            execlp("true", "true", (char *)NULL);
            _exit(127);
        }
        waitpid(pid, NULL, 0);
    }
    report("fork, exec, exit and wait", rounds, now() - start);
}

int demo_traps_main(int argc, char **argv)
{
    intmax_t rounds = 10000;
    if (argc > 1 && (!parse_integer(argv[1], &rounds) || rounds < 1 || rounds > 100000000))
        die_text("%s: bad number of rounds", argv[1]);
    measure_calls(rounds);
    measure_clock(rounds);
    measure_faults(rounds / 10 + 1);
    measure_fork(rounds / 100 + 1);
    measure_exec(rounds / 100 + 1);
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    printf("getrusage: user %ld.%06ld s, system %ld.%06ld s, minor faults %ld, major %ld, switches %ld + %ld\n",
        (long)used.ru_utime.tv_sec, (long)used.ru_utime.tv_usec, (long)used.ru_stime.tv_sec,
        (long)used.ru_stime.tv_usec, used.ru_minflt, used.ru_majflt, used.ru_nvcsw, used.ru_nivcsw);
    return 0;
}
