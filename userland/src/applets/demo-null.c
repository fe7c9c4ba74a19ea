/*
 * demo-null [-c] [-w] [ADDRESS]: reads (-w: writes) through a null pointer, or another address, and dies of it; with
 * -c it catches the signal and shows what the kernel told it.
 */

#include "vbox.h"
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

static sigjmp_buf back;
static volatile int caught_signal, caught_code;
static void *volatile caught_address;

static void note_fault(int number, siginfo_t *info, void *context)
{
    (void)context;
    caught_signal = number;
    caught_code = info->si_code;
    caught_address = info->si_addr;
    siglongjmp(back, 1);
}

static const char *describe_code(int number, int code)
{
    if (number == SIGSEGV && code == SEGV_MAPERR)
        return "SEGV_MAPERR: nothing is mapped there";
    if (number == SIGSEGV && code == SEGV_ACCERR)
        return "SEGV_ACCERR: what is mapped there does not allow it";
    if (number == SIGBUS && code == BUS_ADRERR)
        return "BUS_ADRERR: beyond the end of the file";
    return "other";
}

/* True when the access was caught. */
static bool access_memory(uintptr_t address, bool writes)
{
    if (sigsetjmp(back, 1) != 0)
        return true;
    volatile char *pointer = (volatile char *)address;
    char value = 0;
    if (writes)
        *pointer = 1;
    else
        value = *pointer;
    printf("it worked: the byte is %d\n", value);
    return false;
}

int demo_null_main(int argc, char **argv)
{
    bool catches = false, writes = false;
    for (int option; (option = next_option(argc, argv, "cw")) != -1;) {
        catches = catches || option == 'c';
        writes = writes || option == 'w';
    }
    uintptr_t address = 0;
    if (optind < argc) {
        char *end;
        errno = 0;
        address = (uintptr_t)strtoumax(argv[optind], &end, 0);
        if (errno != 0 || *end != '\0')
            die_text("%s: bad address", argv[optind]);
    }
    if (catches) {
        struct sigaction action = {.sa_sigaction = note_fault, .sa_flags = SA_SIGINFO};
        sigaction(SIGSEGV, &action, NULL);
        sigaction(SIGBUS, &action, NULL);
    }
    printf("%s address %#jx\n", writes ? "writing" : "reading", (uintmax_t)address);
    fflush(stdout);
    if (!access_memory(address, writes))
        return 0;
    printf("caught SIG%s: si_addr %#jx, si_code %d (%s)\n", find_signal_name(caught_signal),
        (uintmax_t)(uintptr_t)caught_address, caught_code, describe_code(caught_signal, caught_code));
    return 0;
}
