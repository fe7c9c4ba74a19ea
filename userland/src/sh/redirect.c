/* Redirections (XCU 2.7), and how a builtin's are undone. */

#include "sh/sh.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The shell's own copies of what a redirect replaced lie at or above this descriptor. */
#define FIRST_SAVED 10

struct SavedDescriptors {
    int fd, copy;               /* copy is -1 where fd was closed */
    struct SavedDescriptors *below;
};

/* All that is saved now, the newest first; each caller restores what it has put on top. */
static SavedDescriptors *stack;

/* False when the descriptor cannot be saved. */
static bool save(int fd)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_SAVED);
    if (copy < 0 && errno != EBADF) {
        warn_text("%d: %s", fd, strerror(errno));
        return false;
    }
    SavedDescriptors *entry = allocate(sizeof *entry);
    *entry = (SavedDescriptors){.fd = fd, .copy = copy, .below = stack};
    stack = entry;
    return true;
}

static bool is_saved_copy(int fd)
{
    for (SavedDescriptors *entry = stack; entry != NULL; entry = entry->below)
        if (entry->copy == fd)
            return true;
    return false;
}

/* The bodies of here-documents go through a pipe when they fit into one, and otherwise through a child. */
static int open_here_document(const char *body)
{
    int ends[2];
    size_t length = strlen(body);
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -1;
    if (length <= 4096) {
        write_all(ends[1], body, length);
    } else {
        fflush(NULL);
        pid_t pid = fork();
        if (pid == 0) {
            close(ends[0]);
            signal(SIGPIPE, SIG_DFL);
            write_all(ends[1], body, length);
            _exit(0);
        }
    }
    close(ends[1]);
    return ends[0];
}

/* Opens a redirect's file; -1 with errno. */
static int open_target(const Redirect *redirect, const char *target)
{
    switch (redirect->kind) {
    case REDIRECT_INPUT:
        return open(target, O_RDONLY | O_CLOEXEC);
    case REDIRECT_OUTPUT:
        if (options[OPTION_NOCLOBBER].on) {
            struct stat info;
            bool regular = stat(target, &info) == 0 && S_ISREG(info.st_mode);
            int exclusive = stat(target, &info) == 0 ? 0 : O_EXCL;
            if (regular) {
                errno = EEXIST;
                return -1;
            }
            return open(target, O_WRONLY | O_CREAT | O_CLOEXEC | exclusive, 0666);
        }
        return open(target, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    case REDIRECT_CLOBBER:
        return open(target, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    case REDIRECT_APPEND:
        return open(target, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    case REDIRECT_BOTH:
        return open(target, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    case REDIRECT_HERE:
        return open_here_document(target);
    case REDIRECT_DUPLICATE:
        break;
    }
    errno = EINVAL;
    return -1;
}

static bool duplicate(const Redirect *redirect, const char *target)
{
    intmax_t from;
    if (strcmp(target, "-") == 0) {
        close(redirect->fd);
        return true;
    }
    if (!parse_integer(target, &from) || from < 0 || from > INT32_MAX || is_saved_copy((int)from)) {
        warn_text("%s: bad descriptor", target);
        return false;
    }
    /* dup2 onto itself leaves the close-on-exec flag; a redirect is meant for the program. */
    int result = from == redirect->fd ? fcntl(redirect->fd, F_SETFD, 0) : dup2((int)from, redirect->fd);
    if (result < 0) {
        warn_errno(target);
        return false;
    }
    return true;
}

static bool apply(const Redirect *redirect)
{
    char *target = expand_string(redirect->target);
    bool fine;
    if (redirect->kind == REDIRECT_DUPLICATE) {
        fine = duplicate(redirect, target);
    } else {
        int fd = open_target(redirect, target);
        fine = fd >= 0;
        if (!fine) {
            warn_errno(redirect->kind == REDIRECT_HERE ? "here-document" : target);
        } else if (fd == redirect->fd) {
            fcntl(fd, F_SETFD, 0);
        } else {
            fine = dup2(fd, redirect->fd) >= 0;
            if (!fine)
                warn_errno(target);
            close(fd);
        }
    }
    free(target);
    return fine;
}

bool apply_redirects(const Redirect *redirects, SavedDescriptors **saved)
{
    if (saved != NULL)
        *saved = stack;
    for (const Redirect *redirect = redirects; redirect != NULL; redirect = redirect->next) {
        if (redirect == redirects)
            fflush(stdout);
        if (saved != NULL && !save(redirect->fd))
            return false;
        if (!apply(redirect))
            return false;
    }
    return true;
}

static SavedDescriptors *pop(void)
{
    SavedDescriptors *entry = stack;
    stack = entry->below;
    return entry;
}

void restore_descriptors(SavedDescriptors *below)
{
    if (stack != below)
        fflush(stdout);
    while (stack != below) {
        SavedDescriptors *entry = pop();
        if (entry->copy >= 0) {
            dup2(entry->copy, entry->fd);
            close(entry->copy);
        } else {
            close(entry->fd);
        }
        free(entry);
    }
}

void restore_all_descriptors(void)
{
    restore_descriptors(NULL);
}

void keep_redirects(SavedDescriptors *below)
{
    while (stack != below) {
        SavedDescriptors *entry = pop();
        if (entry->copy >= 0)
            close(entry->copy);
        free(entry);
    }
}

void forget_saved_descriptors(void)
{
    keep_redirects(NULL);
}
