/*
 * demo-guard: recursion until the stack meets its guard. The handler runs on a stack of its own (sigaltstack), for
 * there is no room left on the one that faulted.
 *
 *   high  ┌───────────────┐
 *         │ stack in use  │  grows down, a page at a time, by page faults
 *         │      ▼        │
 *         ├───────────────┤  the limit: ulimit -s
 *   low   │ guard         │  unmapped: the fault that ends it
 *         └───────────────┘
 */

#include "vbox.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define ALTERNATE_SIZE 16384

static volatile long depth;
static volatile uintptr_t top, deepest;

static void put(const char *text)
{
    write_all(1, text, strlen(text));
}

/* Only what is safe in a signal handler: no stdio, no memory. */
static void put_number(uintmax_t number, unsigned base)
{
    char digits[24], *start = digits + sizeof digits - 1;
    *start = '\0';
    do
        *--start = "0123456789abcdef"[number % base];
    while ((number /= base) > 0);
    put(start);
}

static void report(int number, siginfo_t *info, void *context)
{
    (void)context;
    put(number == SIGSEGV ? "caught SIGSEGV" : "caught SIGBUS");
    put(" at depth ");
    put_number((uintmax_t)depth, 10);
    put(": si_addr 0x");
    put_number((uintptr_t)info->si_addr, 16);
    put(", ");
    put_number((top - (uintptr_t)info->si_addr) / 1024, 10);
    put(" KiB below where it began; deepest frame 0x");
    put_number(deepest, 16);
    put("\n");
    _exit(0);
}

static long descend(long level)
{
    volatile char frame[1024];
    frame[0] = (char)level;
    depth = level;
    deepest = (uintptr_t)frame;
    if (level % 1024 == 0) {
        put("depth ");
        put_number((uintmax_t)level, 10);
        put(", stack at 0x");
        put_number((uintptr_t)frame, 16);
        put("\n");
    }
    if (level == INT32_MAX) /* far beyond any stack */
        return 0;
    return descend(level + 1) + frame[0]; /* what comes after the call keeps it from being a loop */
}

int demo_guard_main(int argc, char **argv)
{
    (void)argc, (void)argv;
    struct rlimit limit;
    getrlimit(RLIMIT_STACK, &limit);
    printf("stack limit: %ju KiB\n", (uintmax_t)limit.rlim_cur / 1024);
    if (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur > 64 << 20) {
        limit.rlim_cur = 64 << 20;
        setrlimit(RLIMIT_STACK, &limit);
        puts("lowered to 65536 KiB for this run");
    }
    fflush(stdout);
    stack_t alternate = {.ss_sp = allocate(ALTERNATE_SIZE), .ss_size = ALTERNATE_SIZE};
    if (sigaltstack(&alternate, NULL) != 0)
        die_errno("sigaltstack");
    struct sigaction action = {.sa_sigaction = report, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    volatile char here;
    top = (uintptr_t)&here;
    return (int)descend(0) & 1;
}
