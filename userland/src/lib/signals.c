/* Signals by name. The numbers are Linux's for riscv64 and x86-64 alike: signal(7), "Signal numbering". */

#include "vbox.h"
#include <string.h>
#include <strings.h>

static const struct {
    int number;
    const char *name;
} signals[] = {
    {0, "EXIT"},
    {SIGHUP, "HUP"}, {SIGINT, "INT"}, {SIGQUIT, "QUIT"}, {SIGILL, "ILL"}, {SIGTRAP, "TRAP"}, {SIGABRT, "ABRT"},
    {SIGBUS, "BUS"}, {SIGFPE, "FPE"}, {SIGKILL, "KILL"}, {SIGUSR1, "USR1"}, {SIGSEGV, "SEGV"},
    {SIGUSR2, "USR2"}, {SIGPIPE, "PIPE"}, {SIGALRM, "ALRM"}, {SIGTERM, "TERM"}, {SIGSTKFLT, "STKFLT"},
    {SIGCHLD, "CHLD"}, {SIGCONT, "CONT"}, {SIGSTOP, "STOP"}, {SIGTSTP, "TSTP"}, {SIGTTIN, "TTIN"},
    {SIGTTOU, "TTOU"}, {SIGURG, "URG"}, {SIGXCPU, "XCPU"}, {SIGXFSZ, "XFSZ"}, {SIGVTALRM, "VTALRM"},
    {SIGPROF, "PROF"}, {SIGWINCH, "WINCH"}, {SIGIO, "IO"}, {SIGPWR, "PWR"}, {SIGSYS, "SYS"},
};

int parse_signal(const char *text)
{
    intmax_t number;
    if (parse_integer(text, &number))
        return number >= 0 && number <= 64 ? (int)number : -1;
    if (strncasecmp(text, "SIG", 3) == 0)
        text += 3;
    for (size_t i = 0; i < COUNT_OF(signals); i++)
        if (strcasecmp(text, signals[i].name) == 0)
            return signals[i].number;
    return -1;
}

const char *find_signal_name(int number)
{
    for (size_t i = 0; i < COUNT_OF(signals); i++)
        if (signals[i].number == number)
            return signals[i].name;
    return NULL;
}

void print_signal_list(FILE *file)
{
    for (size_t i = 1; i < COUNT_OF(signals); i++)
        fprintf(file, "%2d) SIG%s%s", signals[i].number, signals[i].name, i % 5 == 0 ? "\n" : "\t");
    if ((COUNT_OF(signals) - 1) % 5 != 0)
        fputc('\n', file);
}
