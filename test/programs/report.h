// What the programs print of the calls that they make: one line for each.

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

static int number;

/* Prints a call as it is written, its result, and the error's name. */
#define P(call)                                                                                        \
    do {                                                                                               \
        errno = 0;                                                                                     \
        long result = (long)(call);                                                                    \
        printf("%d %s = %ld %s\n", ++number, #call, result, result < 0 ? strerrorname_np(errno) : ""); \
        fflush(stdout);                                                                                \
    } while (0)

/* The same where the result, an address or an id, differs from run to run: only whether it is one. */
#define Q(call)                                                                                                     \
    do {                                                                                                            \
        errno = 0;                                                                                                  \
        long result = (long)(call);                                                                                 \
        int failed = result < 0;                                                                                    \
        printf("%d %s = %s %s\n", ++number, #call, failed ? "FAILED" : "ok", failed ? strerrorname_np(errno) : ""); \
        fflush(stdout);                                                                                             \
    } while (0)

/* The size, rights, offset and name of the mapping that holds an address, from /proc/self/maps. */
static void map_of(void *at) {
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[600];
    while (fgets(line, sizeof line, maps)) {
        unsigned long start, end, offset, inode;
        char rights[8], device[16], name[300] = "";
        sscanf(line, "%lx-%lx %7s %lx %15s %lu %299[^\n]", &start, &end, rights, &offset, device, &inode, name);
        if (start <= (unsigned long)at && (unsigned long)at < end)
            printf("  map %lx %s %lx %s\n", end - start, rights, offset, name);
    }
    fclose(maps);
}

static sigjmp_buf beforeTouch;
static int touchCode;

static void on_fault(int signal, siginfo_t *info, void *context) {
    touchCode = info->si_code;
    siglongjmp(beforeTouch, signal);
}

/* What a byte holds, after 1 was written to it for `write`, or the signal that touching it gave. */
static const char *touch(volatile char *at, int write) {
    static char text[20];
    int signal = sigsetjmp(beforeTouch, 1);
    if (signal == SIGBUS) return touchCode == BUS_ADRERR ? "SIGBUS ADRERR" : "SIGBUS";
    if (signal != 0) return touchCode == SEGV_MAPERR ? "SEGV MAPERR" : "SEGV ACCERR";
    if (write) *at = write;
    sprintf(text, "%d", *at);
    return text;
}

#define T(at, write) printf("%d touch %s %s: %s\n", ++number, #at, #write, touch(at, write))

static void catch_faults(void) {
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, 0);
    sigaction(SIGBUS, &action, 0);
}
