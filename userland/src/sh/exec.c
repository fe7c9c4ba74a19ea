/*
 * Runs the syntax tree (XCU 2.9). A child is forked for each program, each part of a pipeline, each subshell and
 * each background list; what is the last thing a child does replaces it.
 */

#include "sh/sh.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

/* ---- children ---- */

void become_subshell(void)
{
    sh.is_subshell = true;
    sh.interactive = false;
    sh.job_control = false;
    options[OPTION_MONITOR].on = false;
    forget_jobs();
    forget_saved_descriptors();
    reset_traps();
}

static pid_t fork_or_fail(void)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        raise_error(2, "fork: %s", strerror(errno));
    return pid;
}

typedef enum Place { FOREGROUND, BACKGROUND } Place;

/* Forks a child of a job: 0 in the child, which is set up; otherwise the parent has noted it. */
static pid_t fork_into(Job *job, Place place)
{
    pid_t pid = fork_or_fail();
    if (pid == 0) {
        bool had_job_control = sh.job_control;
        if (had_job_control)
            join_job(job_group(job), place == FOREGROUND);
        reset_signals();
        become_subshell();
        if (!had_job_control && place == BACKGROUND) {
            signal(SIGINT, SIG_IGN);
            signal(SIGQUIT, SIG_IGN);
        }
        return 0;
    }
    add_process(job, pid);
    return pid;
}

/* ---- programs ---- */

char *find_program(const char *name)
{
    if (strchr(name, '/') != NULL)
        return access(name, X_OK) == 0 && !is_folder(name) ? copy_string(name) : NULL;
    const char *path = get_variable("PATH");
    for (const char *folder = path != NULL ? path : "/bin:/usr/bin"; folder != NULL;) {
        size_t length = strcspn(folder, ":");
        char *prefix = copy_bytes(folder, length);
        char *candidate = join_path(*prefix != '\0' ? prefix : ".", name);
        free(prefix);
        if (access(candidate, X_OK) == 0 && !is_folder(candidate))
            return candidate;
        free(candidate);
        folder = folder[length] == ':' ? folder + length + 1 : NULL;
    }
    return NULL;
}

/* Whether a file is no text: a program for another machine is not to be read as a script. */
static bool is_binary(const char *path)
{
    char start[256];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd >= 0 ? read(fd, start, sizeof start) : -1;
    if (fd >= 0)
        close(fd);
    return length > 0 && memchr(start, '\0', (size_t)length) != NULL;
}

/* A file without a known format is a script of this shell (XCU 2.9.1.1). */
static _Noreturn void run_as_script(const char *path, char **argv)
{
    if (is_binary(path)) {
        warn_text("%s: cannot execute: wrong format", path);
        fflush(NULL);
        _exit(126);
    }
    int count = 0;
    while (argv[count] != NULL)
        count++;
    sh.name = path;
    set_parameters(copy_parameters(argv + 1, count - 1), count - 1);
    sh.function_depth = sh.loop_depth = 0;
    if (!run_file(path)) {
        warn_errno(path);
        exit_shell(126);
    }
    exit_shell(sh.status);
}

_Noreturn void exec_command(char **argv)
{
    environ = make_environment();
    char *path = find_program(argv[0]);
    if (path == NULL && strchr(argv[0], '/') != NULL)
        path = copy_string(argv[0]); /* for the reason why not */
    if (path != NULL) {
        execve(path, argv, environ);
        int code = errno;
        if (code == ENOEXEC)
            run_as_script(path, argv);
        errno = is_folder(path) ? EISDIR : code;
        warn_errno(argv[0]);
        fflush(NULL);
        _exit(code == ENOENT || code == ENOTDIR ? 127 : 126);
    }
    const Applet *applet = find_applet(argv[0]);
    if (applet == NULL) {
        warn_text("%s: not found", argv[0]);
        fflush(NULL);
        _exit(127);
    }
    int argc = 0;
    while (argv[argc] != NULL)
        argc++;
    exit(run_applet(applet, argc, argv));
}

char *capture_output(Node *command)
{
    int ends[2];
    sh.substitution_status = 0;
    if (command == NULL)
        return copy_string("");
    if (pipe(ends) != 0)
        raise_error(2, "pipe: %s", strerror(errno));
    pid_t pid = fork_or_fail();
    if (pid == 0) {
        reset_signals();
        become_subshell();
        close(ends[0]);
        if (ends[1] != 1) {
            dup2(ends[1], 1);
            close(ends[1]);
        }
        exit_shell(run_node(command, RUN_LAST));
    }
    close(ends[1]);
    size_t length = 0;
    char *output = read_descriptor(ends[0], &length);
    close(ends[0]);
    Job *job = start_job(NULL);
    add_process(job, pid);
    sh.substitution_status = sh.status = wait_for_job(job);
    if (output == NULL)
        return copy_string("");
    /* Bytes that are zero cannot be in a variable. */
    size_t kept = 0;
    for (size_t i = 0; i < length; i++)
        if (output[i] != '\0')
            output[kept++] = output[i];
    while (kept > 0 && output[kept - 1] == '\n')
        kept--;
    output[kept] = '\0';
    return output;
}

/* ---- simple commands ---- */

static void trace_command(char **argv, const Assignment *assignments)
{
    const char *prompt = get_variable("PS4");
    fflush(stdout);
    fputs(prompt != NULL ? prompt : "+ ", stderr);
    const char *separator = "";
    for (; assignments != NULL; assignments = assignments->next, separator = " ") {
        const char *value = get_variable(assignments->name);
        fprintf(stderr, "%s%s=%s", separator, assignments->name, value != NULL ? value : "");
    }
    for (; *argv != NULL; argv++, separator = " ")
        fprintf(stderr, "%s%s", separator, *argv);
    fputc('\n', stderr);
}

static void assign(const Assignment *assignments, bool local, bool export)
{
    for (; assignments != NULL; assignments = assignments->next) {
        char *value = expand_value(assignments->value);
        if (local)
            make_local(assignments->name);
        set_variable(assignments->name, value);
        if (export)
            add_variable_flags(assignments->name, VARIABLE_EXPORTED);
        free(value);
    }
}

int call_function(Function *function, char **argv)
{
    if (sh.function_depth >= 500)
        raise_error(2, "%s: functions nested too deeply", argv[0]);
    char **caller_parameters = sh.parameters;
    int caller_count = sh.parameter_count, caller_loops = sh.loop_depth;
    Arena *arena = function->arena; /* the function may redefine itself while it runs */
    hold_arena(arena);

    int count = 0;
    while (argv[count + 1] != NULL)
        count++;
    sh.parameters = copy_parameters(argv + 1, count);
    sh.parameter_count = count;
    sh.loop_depth = 0;
    sh.function_depth++;
    push_scope();
    sh.status = run_node(function->body, RUN_NORMALLY);
    pop_scope();
    sh.function_depth--;
    sh.loop_depth = caller_loops;
    if (sh.unwinding == UNWIND_RETURN)
        sh.unwinding = UNWIND_NONE;
    free_list(sh.parameters);
    sh.parameters = caller_parameters;
    sh.parameter_count = caller_count;
    release_arena(arena);
    return sh.status;
}

/* Runs a program in a child, or in place of this process when that has nothing left to do. */
static int run_external(const Node *node, char **argv, RunFlags flags)
{
    const Redirect *redirects = node != NULL ? node->redirects : NULL;
    bool replaces = (flags & RUN_LAST) && sh.is_subshell && !has_traps();
    Job *job = NULL;
    if (!replaces) {
        job = start_job(node != NULL ? node->source : NULL);
        if (fork_into(job, FOREGROUND) != 0) {
            finish_start(job);
            return wait_for_job(job);
        }
    }
    if (!apply_redirects(redirects, NULL)) {
        fflush(NULL);
        _exit(1);
    }
    if (node != NULL) {
        push_scope();
        assign(node->simple.assignments, false, true);
        if (options[OPTION_XTRACE].on)
            trace_command(argv, node->simple.assignments);
    }
    exec_command(argv);
}

int run_arguments(char **argv, bool skip_functions, RunFlags flags)
{
    Function *function = skip_functions ? NULL : find_function(argv[0]);
    const Builtin *builtin = find_builtin(argv[0]);
    if (function != NULL && !is_special(builtin))
        return call_function(function, argv);
    if (builtin != NULL)
        return run_builtin(builtin, argv);
    return run_external(NULL, argv, flags);
}

/* A builtin or a function: in this process, with redirects and (unless it is special) assignments undone after. */
static int run_in_process(const Node *node, char **argv)
{
    const Builtin *builtin = find_builtin(argv[0]);
    bool special = is_special(builtin);
    SavedDescriptors *saved;
    if (!apply_redirects(node->redirects, &saved)) {
        restore_descriptors(saved);
        if (special)
            raise_error(2, "%s: redirection failed", argv[0]);
        return 1;
    }
    /* A scope holds the assignments of a regular builtin; `local` in a function has one of its own. */
    bool scoped = !special && node->simple.assignments != NULL;
    if (scoped)
        push_scope();
    assign(node->simple.assignments, scoped, scoped);
    if (options[OPTION_XTRACE].on)
        trace_command(argv, node->simple.assignments);
    int status = run_arguments(argv, false, RUN_NORMALLY);
    if (scoped)
        pop_scope();
    if (builtin != NULL && builtin->main == exec_builtin)
        keep_redirects(saved);
    else
        restore_descriptors(saved);
    return status;
}

/* Only assignments and redirects: they stay, and the status is that of the last $(...). */
static int run_assignments(const Node *node)
{
    SavedDescriptors *saved;
    bool fine = apply_redirects(node->redirects, &saved);
    restore_descriptors(saved);
    if (!fine)
        return 1;
    assign(node->simple.assignments, false, false);
    static char *none[] = {NULL};
    if (options[OPTION_XTRACE].on && node->simple.assignments != NULL)
        trace_command(none, node->simple.assignments);
    return sh.substitution_status;
}

static int run_simple(const Node *node, RunFlags flags)
{
    sh.line = node->line;
    sh.substitution_status = 0;
    size_t count;
    char **argv = expand_words(node->simple.words, &count);
    int status;
    if (count == 0) {
        status = run_assignments(node);
    } else {
        bool in_process = find_builtin(argv[0]) != NULL || find_function(argv[0]) != NULL;
        status = in_process ? run_in_process(node, argv) : run_external(node, argv, flags);
    }
    free_list(argv);
    return status;
}

/* ---- pipelines and children ---- */

static int run_pipeline(const Node *node)
{
    Job *job = start_job(node->source);
    int input = -1;
    for (Node *command = node->pipeline.commands; command != NULL; command = command->next) {
        int ends[2] = {-1, -1};
        if (command->next != NULL && pipe(ends) != 0)
            raise_error(2, "pipe: %s", strerror(errno));
        if (fork_into(job, FOREGROUND) == 0) {
            if (input > 0) {
                dup2(input, 0);
                close(input);
            }
            if (ends[0] >= 0)
                close(ends[0]);
            if (ends[1] >= 0 && ends[1] != 1) {
                dup2(ends[1], 1);
                close(ends[1]);
            }
            exit_shell(run_node(command, RUN_LAST));
        }
        if (input >= 0)
            close(input);
        if (ends[1] >= 0)
            close(ends[1]);
        input = ends[0];
    }
    finish_start(job);
    return wait_for_job(job);
}

static int run_background(const Node *node)
{
    Job *job = start_job(node->source);
    bool had_job_control = sh.job_control;
    pid_t pid = fork_into(job, BACKGROUND);
    if (pid == 0) {
        if (!had_job_control) { /* a background list does not read what the script reads */
            int null = open("/dev/null", O_RDONLY);
            dup2(null, 0);
            close(null);
        }
        exit_shell(run_node(node->single.body, RUN_LAST));
    }
    sh.last_background = pid;
    announce_job(job);
    return 0;
}

static int run_subshell(const Node *node, RunFlags flags)
{
    if ((flags & RUN_LAST) && sh.is_subshell && !has_traps()) { /* this process is a subshell of its own already */
        if (!apply_redirects(node->redirects, NULL))
            return 1;
        return run_node(node->single.body, RUN_LAST);
    }
    Job *job = start_job(node->source);
    if (fork_into(job, FOREGROUND) == 0) {
        if (!apply_redirects(node->redirects, NULL))
            exit_shell(1);
        exit_shell(run_node(node->single.body, RUN_LAST));
    }
    finish_start(job);
    return wait_for_job(job);
}

/* ---- compound commands ---- */

static int run_condition(Node *node)
{
    sh.errexit_ignored++;
    int status = run_node(node, RUN_NORMALLY);
    sh.errexit_ignored--;
    return status;
}

/* After a loop's body or condition: whether the loop goes on. */
static bool continues_loop(void)
{
    if (sh.unwinding == UNWIND_NONE)
        return true;
    if (sh.unwinding == UNWIND_RETURN || --sh.unwind_levels > 0)
        return false;
    bool goes_on = sh.unwinding == UNWIND_CONTINUE;
    sh.unwinding = UNWIND_NONE;
    return goes_on;
}

static int run_while(const Node *node)
{
    int status = 0;
    bool wanted = node->kind == NODE_WHILE;
    sh.loop_depth++;
    for (;;) {
        bool holds = run_condition(node->loop.condition) == 0;
        if (sh.unwinding != UNWIND_NONE) {
            if (continues_loop())
                continue;
            break;
        }
        if (holds != wanted)
            break;
        status = run_node(node->loop.body, RUN_NORMALLY);
        if (!continues_loop())
            break;
    }
    sh.loop_depth--;
    return sh.unwinding == UNWIND_RETURN ? sh.status : status;
}

static int run_for(const Node *node)
{
    size_t count = (size_t)sh.parameter_count;
    char **list = node->each.over_parameters ? copy_parameters(sh.parameters, sh.parameter_count)
                                             : expand_words(node->each.words, &count);
    int status = 0;
    sh.loop_depth++;
    for (size_t i = 0; i < count; i++) {
        set_variable(node->each.name, list[i]);
        status = run_node(node->each.body, RUN_NORMALLY);
        if (!continues_loop())
            break;
    }
    sh.loop_depth--;
    free_list(list);
    return sh.unwinding == UNWIND_RETURN ? sh.status : status;
}

static int run_case(const Node *node, RunFlags flags)
{
    char *subject = expand_string(node->choice.subject);
    const CaseItem *chosen = NULL;
    for (const CaseItem *item = node->choice.items; item != NULL && chosen == NULL; item = item->next) {
        for (const Word *word = item->patterns; word != NULL && chosen == NULL; word = word->next) {
            char *pattern = expand_pattern(word);
            if (match_pattern(pattern, subject))
                chosen = item;
            free(pattern);
        }
    }
    free(subject);
    return chosen != NULL && chosen->body != NULL ? run_node(chosen->body, flags) : 0;
}

static int run_if(const Node *node, RunFlags flags)
{
    bool holds = run_condition(node->branch.condition) == 0;
    if (sh.unwinding != UNWIND_NONE)
        return sh.status;
    Node *chosen = holds ? node->branch.then : node->branch.otherwise;
    return chosen != NULL ? run_node(chosen, flags) : 0;
}

static int run_sequence(Node *node, RunFlags flags)
{
    for (; node->kind == NODE_SEQUENCE; node = node->pair.right) {
        int status = run_node(node->pair.left, RUN_NORMALLY);
        if (sh.unwinding != UNWIND_NONE)
            return status;
    }
    return run_node(node, flags);
}

static int run_and_or(const Node *node, RunFlags flags)
{
    int status = run_condition(node->pair.left);
    if (sh.unwinding != UNWIND_NONE || (node->kind == NODE_AND) != (status == 0))
        return status;
    return run_node(node->pair.right, flags);
}

/* Compound commands run in this process; `flags` reach what they do last, unless redirects must be undone. */
static int run_compound(Node *node, RunFlags flags)
{
    switch (node->kind) {
    case NODE_GROUP: return run_node(node->single.body, flags);
    case NODE_IF: return run_if(node, flags);
    case NODE_WHILE: case NODE_UNTIL: return run_while(node);
    case NODE_FOR: return run_for(node);
    case NODE_CASE: return run_case(node, flags);
    default: return 0;
    }
}

static int run_with_redirects(Node *node, RunFlags flags)
{
    if (node->redirects == NULL)
        return run_compound(node, flags);
    SavedDescriptors *saved;
    bool fine = apply_redirects(node->redirects, &saved);
    int status = fine ? run_compound(node, RUN_NORMALLY) : 1;
    restore_descriptors(saved);
    return status;
}

int run_node(Node *node, RunFlags flags)
{
    if (options[OPTION_NOEXEC].on && !sh.interactive)
        return 0;
    bool checked = false; /* whether set -e looks at the status */
    int status = 0;
    switch (node->kind) {
    case NODE_SIMPLE: status = run_simple(node, flags); checked = true; break;
    case NODE_PIPELINE: status = run_pipeline(node); checked = true; break;
    case NODE_SUBSHELL: status = run_subshell(node, flags); checked = true; break;
    case NODE_BACKGROUND: status = run_background(node); break;
    case NODE_AND: case NODE_OR: status = run_and_or(node, flags); break;
    case NODE_SEQUENCE: status = run_sequence(node, flags); break;
    case NODE_NOT: status = run_condition(node->single.body) == 0; break;
    case NODE_FUNCTION: define_function(node->function.name, node->function.body, node->function.arena); break;
    default: status = run_with_redirects(node, flags); break;
    }
    sh.status = status;
    if (checked && status != 0 && options[OPTION_ERREXIT].on && sh.errexit_ignored == 0
        && sh.unwinding == UNWIND_NONE)
        exit_shell(status);
    if (has_pending_trap() || sh.interactive)
        run_pending_traps();
    return sh.status;
}
