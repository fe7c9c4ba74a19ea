/*
 * Jobs: the processes that one pipeline started, as one group with job control (XCU 2.9.3.1; general terminal
 * interface, XBD 11.1).
 *
 *              ┌────────── bg, kill -CONT ──────────┐
 *              ▼                                    │
 *   start ─► RUNNING ──── ^Z, SIGSTOP ──────► STOPPED ──► fg: RUNNING, with the terminal
 *              │
 *              └─ the last process ends ─► DONE ─► announced, forgotten
 */

#include "sh/sh.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

typedef struct Member {
    pid_t pid;
    int wait_status;
    bool ended, stopped;
} Member;

struct Job {
    int id;                     /* 0 until it is in the background or stopped */
    pid_t group;
    char *command;
    Member *members;
    size_t count, capacity;
    bool changed;               /* not yet announced */
    struct Job *next;
};

static Job *jobs;               /* the newest first; the newest is the current job, %+ */
static struct termios shell_modes;

/* ---- starting ---- */

Job *start_job(const char *command)
{
    Job *job = allocate(sizeof *job);
    *job = (Job){.command = copy_string(command != NULL ? command : ""), .next = jobs};
    jobs = job;
    return job;
}

void add_process(Job *job, pid_t pid)
{
    if (job->group == 0)
        job->group = pid;
    if (sh.job_control)
        setpgid(pid, job->group); /* here and in the child: whichever comes first */
    job->members = grow_array(job->members, job->count, &job->capacity, sizeof *job->members);
    job->members[job->count++] = (Member){.pid = pid};
}

pid_t job_group(const Job *job)
{
    return job->group;
}

void finish_start(Job *job)
{
    if (sh.job_control)
        tcsetpgrp(sh.terminal, job->group);
}

void join_job(pid_t group, bool foreground)
{
    pid_t own = getpid();
    setpgid(0, group != 0 ? group : own);
    if (foreground)
        tcsetpgrp(sh.terminal, group != 0 ? group : own); /* SIGTTOU is still ignored here */
}

static void remove_job(Job *job)
{
    Job **slot = &jobs;
    while (*slot != job)
        slot = &(*slot)->next;
    *slot = job->next;
    free(job->command);
    free(job->members);
    free(job);
}

void forget_jobs(void)
{
    while (jobs != NULL)
        remove_job(jobs);
}

/* ---- states ---- */

static bool is_done(const Job *job)
{
    for (size_t i = 0; i < job->count; i++)
        if (!job->members[i].ended)
            return false;
    return true;
}

/* Stopped: every process that has not ended is stopped. */
static bool is_stopped(const Job *job)
{
    bool any = false;
    for (size_t i = 0; i < job->count; i++) {
        if (job->members[i].ended)
            continue;
        if (!job->members[i].stopped)
            return false;
        any = true;
    }
    return any;
}

static int job_status(const Job *job)
{
    int status = 0;
    for (size_t i = 0; i < job->count; i++) {
        int member = job->members[i].stopped ? 128 + SIGTSTP : status_of_wait(job->members[i].wait_status);
        if (i + 1 == job->count ? !options[OPTION_PIPEFAIL].on || member != 0 : options[OPTION_PIPEFAIL].on && member != 0)
            status = member;
    }
    return status;
}

static void give_id(Job *job)
{
    if (job->id != 0)
        return;
    int highest = 0;
    for (Job *other = jobs; other != NULL; other = other->next)
        if (other->id > highest)
            highest = other->id;
    job->id = highest + 1;
}

static void move_to_front(Job *job)
{
    Job **slot = &jobs;
    while (*slot != job)
        slot = &(*slot)->next;
    *slot = job->next;
    job->next = jobs;
    jobs = job;
}

static void note_change(pid_t pid, int wait_status)
{
    for (Job *job = jobs; job != NULL; job = job->next) {
        for (size_t i = 0; i < job->count; i++) {
            Member *member = &job->members[i];
            if (member->pid != pid || member->ended)
                continue;
            member->stopped = WIFSTOPPED(wait_status);
            member->ended = WIFEXITED(wait_status) || WIFSIGNALED(wait_status);
            member->wait_status = wait_status;
            job->changed = true;
            return;
        }
    }
}

/* Takes in one change of a child; 0 when there is none (with WNOHANG), -1 with errno. */
static pid_t take_change(int flags)
{
    int wait_status;
    pid_t pid = waitpid(-1, &wait_status, flags | (sh.job_control ? WUNTRACED | WCONTINUED : 0));
    if (pid > 0)
        note_change(pid, wait_status);
    return pid;
}

static void take_all_changes(void)
{
    while (take_change(WNOHANG) > 0)
        continue;
}

/* ---- showing ---- */

static const char *describe_state(const Job *job, char *buffer, size_t size)
{
    if (is_stopped(job))
        return "Stopped";
    if (!is_done(job))
        return "Running";
    int wait_status = job->members[job->count - 1].wait_status;
    if (WIFSIGNALED(wait_status))
        return strsignal(WTERMSIG(wait_status));
    if (WEXITSTATUS(wait_status) == 0)
        return "Done";
    snprintf(buffer, size, "Done(%d)", WEXITSTATUS(wait_status));
    return buffer;
}

/* '+' for the current job, '-' for the one before it. */
static char current_mark(const Job *job)
{
    int place = 0;
    for (const Job *other = jobs; other != NULL && other != job; other = other->next)
        place += other->id != 0;
    return place == 0 ? '+' : place == 1 ? '-' : ' ';
}

static void print_job(const Job *job, FILE *file, bool with_pids)
{
    char buffer[24];
    fprintf(file, "[%d]%c ", job->id, current_mark(job));
    if (with_pids)
        fprintf(file, "%d ", job->group);
    fprintf(file, "%-20s %s\n", describe_state(job, buffer, sizeof buffer), job->command);
}

void announce_job(const Job *job)
{
    give_id((Job *)job);
    if (sh.interactive)
        fprintf(stderr, "[%d] %d\n", job->id, job->members[job->count - 1].pid);
}

void notify_jobs(void)
{
    take_all_changes();
    Job *next;
    for (Job *job = jobs; job != NULL; job = next) {
        next = job->next;
        if (job->changed && job->id != 0 && (is_done(job) || is_stopped(job)))
            print_job(job, stderr, false);
        job->changed = false;
        if (is_done(job))
            remove_job(job);
    }
}

bool has_stopped_jobs(void)
{
    for (Job *job = jobs; job != NULL; job = job->next)
        if (is_stopped(job))
            return true;
    return false;
}

/* ---- waiting ---- */

/* Says what killed a job, as a person would want to know; ^C and a closed pipe need no words. */
static void report_death(const Job *job)
{
    int wait_status = job->members[job->count - 1].wait_status;
    if (!WIFSIGNALED(wait_status))
        return;
    int number = WTERMSIG(wait_status);
    fflush(stdout);
    if (number == SIGINT)
        fputs(sh.interactive ? "\n" : "", stderr);
    else if (number != SIGPIPE)
        fprintf(stderr, "%s\n", strsignal(number));
}

int wait_for_job(Job *job)
{
    while (!is_done(job) && !is_stopped(job)) {
        if (take_change(0) < 0 && errno != EINTR) {
            for (size_t i = 0; i < job->count; i++)
                job->members[i].ended = true; /* no such child: nothing will ever be heard of it */
        }
    }
    int status = job_status(job);
    bool killed_by_interrupt = is_done(job) && status == 128 + SIGINT;
    if (sh.job_control) {
        tcsetpgrp(sh.terminal, sh.group);
        if (is_done(job) && status < 128)
            tcgetattr(sh.terminal, &shell_modes); /* stty may have changed them */
        else
            tcsetattr(sh.terminal, TCSADRAIN, &shell_modes);
    }
    if (is_done(job)) {
        report_death(job);
        remove_job(job);
    } else {
        give_id(job);
        move_to_front(job);
        fputc('\n', stderr);
        print_job(job, stderr, false);
        job->changed = false;
    }
    if (killed_by_interrupt && sh.interactive && sh.job_control)
        raise_interrupt();
    return status;
}

/* ---- job control ---- */

void start_job_control(void)
{
    int fd = open("/dev/tty", O_RDWR | O_CLOEXEC);
    if (fd < 0 && isatty(0))
        fd = dup(0);
    if (fd < 0)
        return;
    int terminal = fcntl(fd, F_DUPFD_CLOEXEC, 20);
    close(fd);
    /* A shell started in the background waits until it is brought to the foreground. */
    pid_t foreground;
    while ((foreground = tcgetpgrp(terminal)) >= 0 && foreground != getpgrp() && foreground != 0)
        kill(0, SIGTTIN);
    if (foreground < 0) {
        close(terminal);
        return;
    }
    sh.terminal = terminal;
    sh.job_control = true;
    set_interactive_signals();
    sh.group = getpid();
    setpgid(0, sh.group);
    tcsetpgrp(terminal, sh.group);
    tcgetattr(terminal, &shell_modes);
}

void stop_job_control(void)
{
    sh.job_control = false;
    set_interactive_signals();
}

/* ---- builtins ---- */

/* %n, %+, %-, %name, %?text or a process id; NULL after a warning. */
static Job *find_job(const char *builtin, const char *text)
{
    Job *found = NULL;
    intmax_t number;
    if (text == NULL || strcmp(text, "%%") == 0 || strcmp(text, "%+") == 0 || strcmp(text, "%") == 0) {
        for (found = jobs; found != NULL && found->id == 0;)
            found = found->next;
    } else if (strcmp(text, "%-") == 0) {
        for (found = jobs; found != NULL && (found->id == 0 || current_mark(found) != '-');)
            found = found->next;
    } else if (text[0] == '%' && parse_integer(text + 1, &number)) {
        for (found = jobs; found != NULL && found->id != number;)
            found = found->next;
    } else if (text[0] == '%') {
        for (found = jobs; found != NULL; found = found->next) {
            bool inside = text[1] == '?' && strstr(found->command, text + 2) != NULL;
            if (found->id != 0 && (inside || strncmp(found->command, text + 1, strlen(text + 1)) == 0))
                break;
        }
    } else if (parse_integer(text, &number)) {
        for (found = jobs; found != NULL; found = found->next) {
            size_t i = 0;
            while (i < found->count && found->members[i].pid != number)
                i++;
            if (i < found->count)
                break;
        }
    }
    if (found == NULL)
        warn_text("%s: %s: no such job", builtin, text != NULL ? text : "current");
    return found;
}

int jobs_builtin(int argc, char **argv)
{
    bool with_pids = false, only_pids = false;
    for (int i = 1; i < argc; i++) {
        with_pids = with_pids || strcmp(argv[i], "-l") == 0;
        only_pids = only_pids || strcmp(argv[i], "-p") == 0;
    }
    take_all_changes();
    int highest = 0;
    for (Job *job = jobs; job != NULL; job = job->next)
        if (job->id > highest)
            highest = job->id;
    for (int id = 1; id <= highest; id++) {
        Job *job = jobs;
        while (job != NULL && job->id != id)
            job = job->next;
        if (job == NULL)
            continue;
        if (only_pids)
            printf("%d\n", job->group);
        else
            print_job(job, stdout, with_pids);
        job->changed = false;
        if (is_done(job))
            remove_job(job);
    }
    return 0;
}

static void mark_running(Job *job)
{
    for (size_t i = 0; i < job->count; i++)
        job->members[i].stopped = false;
}

int fg_builtin(int argc, char **argv)
{
    if (!sh.job_control) {
        warn_text("fg: no job control");
        return 1;
    }
    Job *job = find_job("fg", argc > 1 ? argv[1] : NULL);
    if (job == NULL)
        return 1;
    puts(job->command);
    fflush(stdout);
    mark_running(job);
    tcsetpgrp(sh.terminal, job->group);
    kill(-job->group, SIGCONT);
    return wait_for_job(job);
}

int bg_builtin(int argc, char **argv)
{
    if (!sh.job_control) {
        warn_text("bg: no job control");
        return 1;
    }
    Job *job = find_job("bg", argc > 1 ? argv[1] : NULL);
    if (job == NULL)
        return 1;
    printf("[%d]%c %s &\n", job->id, current_mark(job), job->command);
    mark_running(job);
    kill(-job->group, SIGCONT);
    return 0;
}

/* Waits for one job; a trap ends the wait with 128 + its signal (XCU 2.11), and *interrupted is set. */
static int wait_for_one(Job *job, bool *interrupted)
{
    while (!is_done(job)) {
        if (take_change(0) >= 0)
            continue;
        if (errno != EINTR)
            break;
        int number = pending_signal();
        if (number != 0) {
            run_pending_traps();
            *interrupted = true;
            return 128 + number;
        }
    }
    int status = job_status(job);
    remove_job(job);
    return status;
}

int wait_builtin(int argc, char **argv)
{
    int status = 0;
    bool interrupted = false;
    while (argc == 1) {
        Job *job = jobs;
        while (job != NULL && is_stopped(job))
            job = job->next;
        if (job == NULL)
            return 0;
        status = wait_for_one(job, &interrupted);
        if (interrupted)
            return status;
    }
    for (int i = 1; i < argc && !interrupted; i++) {
        intmax_t pid;
        bool is_pid = parse_integer(argv[i], &pid);
        Job *job = NULL;
        for (Job *other = is_pid ? jobs : NULL; other != NULL; other = other->next)
            for (size_t m = 0; m < other->count; m++)
                if (other->members[m].pid == pid)
                    job = other;
        if (!is_pid)
            job = find_job("wait", argv[i]);
        status = job != NULL ? wait_for_one(job, &interrupted) : 127;
    }
    return status;
}

/* kill with %jobs made into process groups; "--" keeps a leading group from being read as a signal. */
int kill_builtin(int argc, char **argv)
{
    char **list = allocate(((size_t)argc + 2) * sizeof *list);
    int status = 0, count = 0;
    bool first_operand = true;
    for (int i = 0; i < argc; i++) {
        bool is_option = i == 0 || argv[i][0] == '-' || strcmp(argv[i - 1], "-s") == 0;
        if (!is_option && first_operand) {
            list[count++] = copy_string("--");
            first_operand = false;
        }
        if (i > 0 && argv[i][0] == '%') {
            Job *job = find_job("kill", argv[i]);
            if (job == NULL)
                status = 1;
            else
                list[count++] = format_string(sh.job_control ? "-%d" : "%d", job->group);
        } else {
            list[count++] = copy_string(argv[i]);
        }
    }
    list[count] = NULL;
    if (status == 0)
        status = run_applet(find_applet("kill"), count, list);
    free_list(list);
    return status;
}
