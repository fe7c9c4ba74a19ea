/*
 * sh: starts the shell, and runs what it is given: a string (-c), a script, standard input or a terminal.
 *
 *   usage: sh [-abCefimnuvx] [-o option] [-c TEXT [NAME]] [-s] [FILE] [ARG]...
 */

#include "sh/sh.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

Shell sh;

/* Where an error at the prompt returns to. */
static jmp_buf prompt_jump;

_Noreturn void exit_shell(int status)
{
    sh.status = status;
    if (!sh.is_subshell || has_traps()) {
        sh.errexit_ignored++; /* the trap runs to its end */
        run_exit_trap();
    }
    fflush(NULL);
    _exit(sh.status & 0xff);
}

_Noreturn void raise_interrupt(void)
{
    take_interrupt();
    if (!sh.interactive)
        exit_shell(130);
    sh.status = 130;
    longjmp(prompt_jump, 1);
}

_Noreturn void raise_error(int status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fflush(stdout);
    fprintf(stderr, "%s: ", sh.is_script ? sh.name : "sh");
    if (sh.is_script && sh.line > 0)
        fprintf(stderr, "line %d: ", sh.line);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    if (!sh.interactive)
        exit_shell(status);
    sh.status = status;
    longjmp(prompt_jump, 1);
}

/* ---- running text ---- */

/* Parses and runs the next line of an input; false at its end. *any is set when there was a command. */
static bool run_next_line(Input *input, bool *any)
{
    Arena *arena = make_arena();
    Node *node;
    bool more = parse_line(input, arena, &node);
    if (more && node != NULL) {
        sh.status = run_node(node, RUN_NORMALLY);
        *any = true;
    }
    release_arena(arena);
    return more;
}

static int run_input(Input *input)
{
    bool any = false;
    while (sh.unwinding == UNWIND_NONE && run_next_line(input, &any))
        continue;
    close_input_source(input);
    if (!any)
        sh.status = 0;
    return sh.status;
}

int run_text(const char *text)
{
    return run_input(open_text_input(text));
}

bool run_file(const char *path)
{
    size_t length;
    char *text = read_file(path, &length);
    if (text == NULL)
        return false;
    run_text(text);
    free(text);
    return true;
}

/* ---- the prompt ---- */

/* Back at the prompt after an error: what was half done is undone. */
static void clean_up(Input *input)
{
    discard_line(input);
    restore_all_descriptors();
    pop_scopes_to(0);
    sh.unwinding = UNWIND_NONE;
    sh.loop_depth = sh.function_depth = sh.source_depth = 0;
    sh.errexit_ignored = 0;
}

static _Noreturn void run_prompt(void)
{
    Input *input = open_descriptor_input(0, true);
    if (setjmp(prompt_jump) != 0)
        clean_up(input);
    for (;;) {
        bool any;
        if (run_next_line(input, &any)) {
            sh.unwinding = UNWIND_NONE;
            continue;
        }
        if (!isatty(0) || !options[OPTION_IGNOREEOF].on) {
            static bool warned;
            if (!has_stopped_jobs() || warned)
                break;
            warned = true;
            warn_text("there are stopped jobs");
        }
    }
    exit_shell(sh.status);
}

static void start_interactive(void)
{
    sh.interactive = true;
    set_interactive_signals();
    start_job_control();
    options[OPTION_MONITOR].on = sh.job_control;
    if (getenv("PS1") == NULL)
        set_variable("PS1", "\\w \\$ ");
}

/* Start-up files may fail without taking the shell along. */
static void run_startup_files(bool login)
{
    if (setjmp(prompt_jump) != 0)
        return;
    char *motd = login ? read_file("/etc/motd", NULL) : NULL;
    if (motd != NULL) {
        fputs(motd, stdout);
        fflush(stdout);
        free(motd);
    }
    run_file("/etc/profile");
    const char *more = get_variable("ENV");
    if (more != NULL)
        run_file(more);
    sh.status = 0;
}

/* ---- start ---- */

static void import_working_directory(void)
{
    const char *claimed = get_variable("PWD");
    struct stat named, real;
    bool valid = claimed != NULL && *claimed == '/' && stat(claimed, &named) == 0 && stat(".", &real) == 0
        && named.st_dev == real.st_dev && named.st_ino == real.st_ino;
    char folder[PATH_MAX];
    if (!valid && getcwd(folder, sizeof folder) != NULL)
        set_variable("PWD", folder);
    add_variable_flags("PWD", VARIABLE_EXPORTED);
}

static void initialize(void)
{
    sh = (Shell){.name = "sh", .terminal = -1};
    for (size_t i = 0; i < OPTION_COUNT; i++)
        options[i].on = false;
    sh.pid = getpid();
    sh.group = getpgrp();
    sh.parameters = copy_parameters(NULL, 0);
    import_environment();
    import_working_directory();
    set_number_variable("PPID", getppid());
    set_variable("OPTIND", "1");
    if (get_variable("PATH") == NULL)
        set_variable("PATH", "/bin:/sbin:/usr/bin:/usr/sbin");
    set_variable("PS2", "> ");
    set_variable("PS4", "+ ");
}

/* Options of sh that are not options of set: taken out of argv. */
typedef struct StartOptions {
    bool text, standard_input, interactive, login;
} StartOptions;

static int take_start_options(int argc, char **argv, StartOptions *start)
{
    int kept = 1;
    bool ended = false;
    for (int i = 1; i < argc; i++) {
        bool is_option = !ended && (argv[i][0] == '-' || argv[i][0] == '+') && argv[i][1] != '\0';
        ended = ended || !is_option || strcmp(argv[i], "--") == 0;
        if (is_option && strcmp(argv[i], "--") != 0) {
            bool has_o = strchr(argv[i], 'o') != NULL;
            char *to = argv[i] + 1;
            for (const char *from = argv[i] + 1; *from != '\0'; from++) {
                bool *flag = *from == 'c' ? &start->text : *from == 's' ? &start->standard_input
                    : *from == 'i' ? &start->interactive : *from == 'l' ? &start->login : NULL;
                if (flag != NULL)
                    *flag = true;
                else
                    *to++ = *from;
            }
            *to = '\0';
            if (argv[i][1] == '\0')
                continue;
            argv[kept++] = argv[i];
            if (has_o && i + 1 < argc)
                argv[kept++] = argv[++i];
            continue;
        }
        argv[kept++] = argv[i];
    }
    argv[kept] = NULL;
    return kept;
}

int sh_main(int argc, char **argv)
{
    StartOptions start = {.login = argv[0][0] == '-'};
    initialize();
    argc = take_start_options(argc, argv, &start);
    bool ended;
    int first = read_set_options(argc, argv, &ended);
    if (first < 0)
        return 2;
    if (first < argc && strcmp(argv[first], "-") == 0)
        first++;

    const char *text = NULL, *file = NULL;
    if (start.text) {
        if (first >= argc) {
            warn_text("-c needs a text");
            return 2;
        }
        text = argv[first++];
        if (first < argc)
            sh.name = argv[first++];
    } else if (!start.standard_input && first < argc) {
        file = argv[first++];
        sh.name = file;
        sh.is_script = true;
    }
    set_parameters(copy_parameters(argv + first, argc - first), argc - first);

    if (text != NULL)
        exit_shell(run_text(text));
    if (file != NULL) {
        if (run_file(file))
            exit_shell(sh.status);
        warn_errno(file);
        return errno == ENOENT ? 127 : 126;
    }
    if (start.interactive || (isatty(0) && isatty(2))) {
        start_interactive();
        run_startup_files(start.login || getenv("SHLVL") == NULL);
        set_variable("SHLVL", "1");
        add_variable_flags("SHLVL", VARIABLE_EXPORTED);
        run_prompt();
    }
    exit_shell(run_input(open_descriptor_input(0, false)));
}
