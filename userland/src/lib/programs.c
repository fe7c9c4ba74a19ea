/* Running other programs. */

#include "vbox.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

_Noreturn void exec_program(char **argv)
{
    execvp(argv[0], argv);
    int code = errno;
    const Applet *applet = code == ENOENT && strchr(argv[0], '/') == NULL ? find_applet(argv[0]) : NULL;
    if (applet != NULL) {
        int argc = 0;
        while (argv[argc] != NULL)
            argc++;
        exit(run_applet(applet, argc, argv));
    }
    errno = code;
    warn_errno(argv[0]);
    exit(code == ENOENT || code == ENOTDIR ? 127 : 126);
}

int run_program(char **argv)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0) {
        warn_errno("fork");
        return 126;
    }
    if (pid == 0)
        exec_program(argv);
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return 126;
    return status_of_wait(status);
}

int status_of_wait(int wait_status)
{
    return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}
