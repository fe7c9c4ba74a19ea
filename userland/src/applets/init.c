/*
 * init: process 1.
 *
 *   mount /proc, /dev, /tmp ──► /etc/rc ──► the shell, or `init CMD ARG...`, on /dev/console
 *                                             │  meanwhile: reap orphans
 *                                             ▼
 *                         reboot(POWER_OFF, "exit status")
 *
 * The fourth argument of reboot(2), which Linux reads for LINUX_REBOOT_CMD_RESTART2 only, carries the exit status
 * of the shell or command as a decimal string: the kernel can hand it to whoever started the machine.
 */

#include "vbox.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define REBOOT_MAGIC1 0xfee1dead
#define REBOOT_MAGIC2 672274793
#define REBOOT_POWER_OFF 0x4321fedc

extern char **environ;

static const struct {
    const char *type, *target, *probe;
} mounts[] = {
    /* `probe` exists where the kernel has mounted the file system already. */
    {"proc", "/proc", "/proc/self"},
    {"devtmpfs", "/dev", "/dev/null"},
};

/* The keyboard's signals are for the console's foreground group: init ignores them, what it starts must not. */
static void handle_keyboard_signals(void (*how)(int))
{
    static const int numbers[] = {SIGINT, SIGQUIT, SIGTSTP};
    for (size_t i = 0; i < COUNT_OF(numbers); i++)
        signal(numbers[i], how);
}

static void mount_file_systems(void)
{
    for (size_t i = 0; i < COUNT_OF(mounts); i++) {
        if (access(mounts[i].probe, F_OK) == 0)
            continue;
        mkdir(mounts[i].target, 0755);
        if (mount(mounts[i].type, mounts[i].target, mounts[i].type, 0, NULL) != 0 && errno != EBUSY)
            warn_errno(mounts[i].target);
    }
    mkdir("/tmp", 01777);
    if (access("/tmp", W_OK) != 0 && mount("tmpfs", "/tmp", "tmpfs", 0, "mode=1777") != 0)
        warn_errno("/tmp");
}

/* Gives the process the console as standard input, output and error. */
static void open_console(void)
{
    int fd = open("/dev/console", O_RDWR);
    if (fd < 0)
        return; /* whatever the kernel gave stays */
    for (int i = 0; i < 3; i++)
        if (i != fd)
            dup2(fd, i);
    if (fd > 2)
        close(fd);
}

/* In the child: a session of its own, whose controlling terminal is the console. */
static void take_console(void)
{
    setsid();
    open_console();
    ioctl(0, TIOCSCTTY, 0);
}

static pid_t start(char **argv)
{
    pid_t pid = fork();
    if (pid < 0)
        warn_errno("fork");
    if (pid == 0) {
        handle_keyboard_signals(SIG_DFL);
        take_console();
        exec_program(argv);
    }
    return pid;
}

/* Reaps children until one is the process asked for; returns its status. */
static int wait_for(pid_t wanted)
{
    for (;;) {
        int status;
        pid_t pid = wait(&status);
        if (pid == wanted)
            return status_of_wait(status);
        if (pid < 0 && errno != EINTR)
            return 1;
    }
}

static _Noreturn void power_off(int status)
{
    char text[16];
    sprintf(text, "%d", status);
    sync();
    fflush(NULL);
    syscall(SYS_reboot, REBOOT_MAGIC1, REBOOT_MAGIC2, REBOOT_POWER_OFF, text);
    warn_errno("reboot");
    exit(status);
}

int init_main(int argc, char **argv)
{
    static char *shell[] = {"/bin/sh", NULL};
    static char *startup[] = {"/bin/sh", "/etc/rc", NULL};

    if (getpid() != 1) {
        warn_text("must be process 1");
        return 1;
    }
    handle_keyboard_signals(SIG_IGN);
    mount_file_systems();
    open_console();
    setenv("PATH", "/bin:/sbin:/usr/bin:/usr/sbin", 0);
    setenv("HOME", "/root", 0);
    setenv("TERM", "xterm", 0);
    setenv("USER", "root", 0);
    setenv("SHELL", "/bin/sh", 0);
    if (access("/etc/rc", R_OK) == 0)
        wait_for(start(startup));

    const char *home = getenv("HOME");
    if (argc == 1 && chdir(home) != 0)
        warn_errno(home);
    pid_t pid = start(argc > 1 ? argv + 1 : shell);
    power_off(pid < 0 ? 126 : wait_for(pid));
}
