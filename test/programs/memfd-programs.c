// Programs in memfds: they run, while the descriptor that made the file may still write to it; and what can be done with such a file by
// its link in /proc. What Linux 6.18 prints is in memfd-programs.expected.

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "report.h"

static char buf[65536];
static int make(const char *name, unsigned flags) {
    int a = open("/proc/self/exe", O_RDONLY), b = memfd_create(name, flags);
    long n;
    while ((n = read(a, buf, sizeof buf)) > 0) write(b, buf, n);
    close(a);
    return b;
}

static void runit(int fd, char *arg) {
    if (!fork()) {
        char *argv[] = {"memory", arg, 0}, *env[] = {"A=b", 0};
        fexecve(fd, argv, env);
        printf("fexecve: %s\n", strerrorname_np(errno));
        fflush(stdout);
        _exit(3);
    }
    int st;
    wait(&st);
    printf("status %x\n", st);
}

int main(int argc, char **argv) {
    if (argc > 1) {
        char t[200];
        int n = readlink("/proc/self/exe", t, 199);
        t[n] = 0;
        printf("%s %s %s\n", argv[0], argv[1], t);
        char p[40];
        int fd = atoi(argv[1]);
        P(fcntl(fd, F_GETFL));
        P(write(fd, "x", 1));
        sprintf(p, "/proc/self/fd/%d", fd);
        P(open(p, O_RDWR));
        P(open(p, O_RDONLY) > 0);
        P(open("/proc/self/exe", O_WRONLY));
        return 5;
    }
    int fd = make("prog", 0);
    char num[10];
    sprintf(num, "%d", fd);
    runit(fd, num);
    P(fchmod(fd, 0600));
    runit(fd, num);
    P(fchmod(fd, 0755));
    {
        char p[40];
        sprintf(p, "/proc/self/fd/%d", fd);
        int w;
        P(w = open(p, O_RDWR));
        runit(fd, num);
        close(w);
    }
    int ne = make("noexec", 8);
    runit(ne, num);
    int cl = make("cloexec", 1);
    runit(cl, num);
    {
        struct stat st;
        int d = open("/proc/self/fd", O_RDONLY | O_DIRECTORY);
        P(fstatat(d, num, &st, 0));
        printf("%o\n", st.st_mode);
        P(fstatat(d, num, &st, AT_SYMLINK_NOFOLLOW));
        printf("%o\n", st.st_mode & 0170000);
        P(linkat(AT_FDCWD, "/proc/self/fd/3", AT_FDCWD, "/dev/shm/linked", AT_SYMLINK_FOLLOW));
        P(linkat(fd, "", AT_FDCWD, "/dev/shm/linked", AT_EMPTY_PATH));
        P(unlink("/proc/self/fd/3"));
        P(rename("/proc/self/fd/3", "/dev/shm/x"));
        P(chdir("/proc/self/fd/3"));
        P(openat(fd, "x", O_RDONLY));
        P(openat(fd, "", O_RDONLY));
    }
    return 0;
}
