/*
 * Signals and traps. A handler only notes the signal; its command runs between two commands of the script
 * (XCU 2.11).
 */

#include "sh/sh.h"
#include <stdlib.h>
#include <string.h>

static char *actions[SIGNAL_LIMIT];                    /* NULL: default; "": ignore; 0 is EXIT */
static volatile sig_atomic_t pending[SIGNAL_LIMIT];
static volatile sig_atomic_t any_pending, interrupted;

/* Signals that were ignored when a script started stay so (XCU 2.11); asked for only where it matters. */
static enum { UNKNOWN, IGNORED, NOT_IGNORED } at_start[SIGNAL_LIMIT];

static void note_signal(int number)
{
    pending[number] = 1;
    any_pending = 1;
}

static void note_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

bool take_interrupt(void)
{
    bool was = interrupted != 0;
    interrupted = 0;
    return was;
}

static bool was_ignored(int number)
{
    struct sigaction action;
    if (at_start[number] == UNKNOWN) {
        bool ignored = sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
        at_start[number] = ignored ? IGNORED : NOT_IGNORED;
    }
    return at_start[number] == IGNORED;
}

static void set_action(int number, void (*handler)(int))
{
    was_ignored(number); /* while it can still be told */
    struct sigaction action = {.sa_handler = handler};
    sigemptyset(&action.sa_mask);
    sigaction(number, &action, NULL);
}

static const int ignored_at_prompt[] = {SIGQUIT, SIGTERM};
static const int ignored_with_job_control[] = {SIGTSTP, SIGTTIN, SIGTTOU};

/* What a signal does when no trap is set for it. */
static void set_default_action(int number)
{
    void (*handler)(int) = SIG_DFL;
    if (sh.interactive && number == SIGINT)
        handler = note_interrupt;
    for (size_t i = 0; sh.interactive && i < COUNT_OF(ignored_at_prompt); i++)
        if (ignored_at_prompt[i] == number)
            handler = SIG_IGN;
    for (size_t i = 0; sh.job_control && i < COUNT_OF(ignored_with_job_control); i++)
        if (ignored_with_job_control[i] == number)
            handler = SIG_IGN;
    set_action(number, handler);
}

void set_interactive_signals(void)
{
    static const int numbers[] = {SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU};
    for (size_t i = 0; i < COUNT_OF(numbers); i++)
        if (actions[numbers[i]] == NULL)
            set_default_action(numbers[i]);
}

/* In a child: the signals that the shell handles for itself go back to what a program expects. */
void reset_signals(void)
{
    static const int numbers[] = {SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU};
    for (size_t i = 0; i < COUNT_OF(numbers); i++)
        if (at_start[numbers[i]] == NOT_IGNORED && actions[numbers[i]] == NULL) /* the others were never touched */
            set_action(numbers[i], SIG_DFL);
    for (int number = 1; number < SIGNAL_LIMIT; number++)
        if (actions[number] != NULL && *actions[number] != '\0')
            set_action(number, SIG_DFL);
}

void reset_traps(void)
{
    for (int number = 0; number < SIGNAL_LIMIT; number++) {
        if (actions[number] == NULL || *actions[number] == '\0')
            continue;
        free(actions[number]);
        actions[number] = NULL;
        pending[number] = 0;
        if (number != 0)
            set_action(number, SIG_DFL);
    }
    any_pending = 0;
}

bool has_traps(void)
{
    for (int number = 0; number < SIGNAL_LIMIT; number++)
        if (actions[number] != NULL && *actions[number] != '\0')
            return true;
    return false;
}

bool has_pending_trap(void)
{
    return any_pending != 0;
}

int pending_signal(void)
{
    for (int number = 1; number < SIGNAL_LIMIT; number++)
        if (pending[number])
            return number;
    return interrupted ? SIGINT : 0;
}

void run_pending_traps(void)
{
    if (interrupted && sh.interactive) {
        fputc('\n', stderr);
        raise_interrupt();
    }
    while (any_pending) {
        any_pending = 0;
        for (int number = 1; number < SIGNAL_LIMIT; number++) {
            if (!pending[number])
                continue;
            pending[number] = 0;
            if (actions[number] == NULL)
                continue;
            int status = sh.status;
            char *action = copy_string(actions[number]); /* the action may change its own trap */
            run_text(action);
            free(action);
            if (sh.unwinding == UNWIND_NONE)
                sh.status = status;
        }
    }
}

void run_exit_trap(void)
{
    char *action = actions[0];
    actions[0] = NULL;
    if (action == NULL || *action == '\0')
        return;
    int status = sh.status;
    sh.unwinding = UNWIND_NONE;
    run_text(action);
    free(action);
    sh.status = status;
}

static void set_trap(int number, const char *action)
{
    free(actions[number]);
    actions[number] = action != NULL ? copy_string(action) : NULL;
    pending[number] = 0;
    bool may_change = number != 0 && number != SIGKILL && number != SIGSTOP
        && (sh.interactive || !was_ignored(number));
    if (!may_change)
        return;
    if (action == NULL)
        set_default_action(number);
    else
        set_action(number, *action == '\0' ? SIG_IGN : note_signal);
}

static void print_traps(void)
{
    for (int number = 0; number < SIGNAL_LIMIT; number++) {
        const char *name = find_signal_name(number);
        if (actions[number] == NULL)
            continue;
        fputs("trap -- ", stdout);
        print_quoted(actions[number], stdout);
        if (name != NULL)
            printf(" %s\n", name);
        else
            printf(" %d\n", number);
    }
}

int trap_builtin(int argc, char **argv)
{
    int first = 1;
    if (argc > 1 && strcmp(argv[1], "--") == 0)
        first++;
    if (argc > 1 && strcmp(argv[1], "-l") == 0) {
        print_signal_list(stdout);
        return 0;
    }
    if (first >= argc) {
        print_traps();
        return 0;
    }
    /* "trap - INT", "trap INT" and "trap 2" reset; anything else is the action. */
    const char *action = argv[first];
    intmax_t number;
    bool resets = strcmp(action, "-") == 0;
    if (!resets && (parse_integer(action, &number) || first + 1 == argc))
        resets = true;
    else
        first++;
    int status = 0;
    for (; first < argc; first++) {
        int signal_number = parse_signal(argv[first]);
        if (signal_number < 0) {
            warn_text("trap: %s: bad signal", argv[first]);
            status = 1;
        } else {
            set_trap(signal_number, resets ? NULL : action);
        }
    }
    return status;
}
