// A file of the folder in argv[1], mapped shared and private, under writes, truncation, holes, unlinking and renaming. What Linux 6.18 prints,
// on tmpfs and on ext4, is in mapped-file-calls.expected. (Nothing is written beyond the end of a file: what becomes of that differs there.)

#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "report.h"

static char buf[40000];
static void file(const char *name) {
    int f = open(name, O_RDONLY);
    long n = read(f, buf, sizeof buf);
    long sum = 0;
    for (long i = 0; i < n; i++) sum = sum * 31 + buf[i] & 0xffffff;
    printf("  file %ld bytes sum %lx starts %d %d\n", n, sum, buf[0], buf[1]);
    close(f);
}

static void show(char *p, long n) {
    long sum = 0;
    for (long i = 0; i < n; i++) sum = sum * 31 + p[i] & 0xffffff;
    printf("  memory sum %lx\n", sum);
}

int main(int argc, char **argv) {
    catch_faults();
    int fd, ro, wo;
    char *p, *q, *r;
    struct stat st;
    unsigned char vec[8];
    chdir(argv[1]);
    if (argc > 2) {
        read(0, buf, 1);
        return 0;
    }
    umask(0);
    for (int i = 0; i < 10000; i++) buf[i] = i % 100 + 1;
    P(fd = open("m", O_RDWR | O_CREAT | O_TRUNC, 0644));
    P(write(fd, buf, 10000));
    P(ro = open("m", O_RDONLY));
    P(wo = open("m", O_WRONLY));
    Q(mmap(0, 4096, PROT_READ, MAP_SHARED, wo, 0));
    Q(mmap(0, 4096, PROT_READ, MAP_PRIVATE, wo, 0));
    Q(mmap(0, 4096, PROT_WRITE, MAP_SHARED, ro, 0));
    Q(r = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, ro, 0));
    T(r, 7);
    file("m");
    munmap(r, 4096);
    Q(r = mmap(0, 4096, PROT_READ, MAP_SHARED, ro, 0));
    P(mprotect(r, 4096, PROT_READ | PROT_WRITE));
    T(r, 3);
    munmap(r, 4096);
    Q(mmap(0, 0, PROT_READ, MAP_SHARED, fd, 0));
    Q(mmap(0, 4096, PROT_READ, MAP_SHARED, fd, 100));
    Q(mmap(0, 4096, PROT_READ, MAP_SHARED, 99, 0));
    Q(mmap(0, 4096, PROT_READ, 0, fd, 0));
    {
        int d = open(".", O_RDONLY);
        Q(mmap(0, 4096, PROT_READ, MAP_SHARED, d, 0));
        close(d);
        int pp[2];
        pipe(pp);
        Q(mmap(0, 4096, PROT_READ, MAP_SHARED, pp[0], 0));
        close(pp[0]);
        close(pp[1]);
    }
    Q(p = mmap(0, 20480, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    Q(q = mmap(0, 20480, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
    T(p + 9999, 0);
    T(p + 10000, 0);
    T(p + 12287, 0);
    T(p + 12288, 0);
    T(q + 12288, 1);
    T(q + 16384, 0);
    T(p + 20000, 5);
    T(p, 50);
    T(q, 0);
    P(pread(fd, buf, 1, 0));
    printf("%d\n", buf[0]);
    T(q, 60);
    T(p, 0);
    P(pwrite(fd, "\011", 1, 1));
    T(p + 1, 0);
    T(q + 1, 0);
    T(q + 4096, 0);
    P(pwrite(fd, "\022", 1, 4096));
    T(q + 4096, 0);
    T(p + 4096, 0);
    T(q + 4096, 33);
    P(pwrite(fd, "\023", 1, 4096));
    T(q + 4096, 0);
    T(p + 4096, 0);
    P(msync(p, 20480, MS_SYNC));
    file("m");
    T(p + 5, 77);
    P(msync(p, 4096, MS_ASYNC));
    file("m");
    T(p + 6, 78);
    P(fsync(fd));
    file("m");
    T(p + 7, 79);
    P(fdatasync(fd));
    T(p + 7, 80);
    sync();
    T(p + 7, 81);
    P(syncfs(fd));
    file("m");
    T(p + 7, 82);
    P(msync(p + 1, 4096, MS_SYNC));
    P(msync(p, 4096, MS_SYNC | MS_ASYNC));
    P(msync(p, 4096, 8));
    P(msync((void *)0x1000, 4096, MS_SYNC));
    P(msync(p, 0, MS_SYNC));
    P(msync(p, 4096, 0));
    file("m");
    P(ftruncate(fd, 12000));
    T(p + 11000, 0);
    T(p + 12287, 0);
    file("m");
    P(pwrite(fd, "z", 1, 13000));
    T(p + 12100, 0);
    T(p + 13000, 0);
    T(p + 13001, 0);
    T(q + 13000, 0);
    file("m");
    P(fstat(fd, &st));
    printf("%ld\n", (long)st.st_size);
    P(lseek(fd, 0, SEEK_END));
    P(write(fd, buf, 100));
    file("m");
    T(p + 15000, 0);
    P(ftruncate(fd, 16000));
    T(p + 15000, 0);
    T(q + 8192, 21);
    T(q + 12288, 22);
    P(ftruncate(fd, 5000));
    T(p + 4999, 0);
    T(p + 5000, 0);
    T(p + 8191, 0);
    T(p + 8192, 0);
    T(q, 0);
    T(q + 4096, 0);
    T(q + 8192, 0);
    T(q + 12288, 3);
    P(ftruncate(fd, 16384));
    T(p + 5000, 0);
    T(p + 8192, 0);
    T(q + 8192, 0);
    T(q + 12288, 0);
    T(p + 16383, 0);
    T(p + 16384, 0);
    file("m");
    P(ftruncate(fd, 0));
    T(p, 0);
    T(q, 0);
    T(q + 4096, 0);
    P(mincore(p, 20480, vec));
    P(ftruncate(fd, 10000));
    T(p, 0);
    T(q, 0);
    P(pwrite(fd, "abc", 3, 0));
    P(open("m", O_RDWR | O_TRUNC) > 0);
    T(p, 0);
    P(write(fd, "x", 0));
    P(pwrite(fd, "abcdef", 6, 0));
    T(p, 0);
    T(p + 5, 0);
    T(q + 5, 0);
    for (int i = 0; i < 16384; i++) buf[i] = i % 90 + 1;
    P(pwrite(fd, buf, 16384, 0));
    T(q + 4096, 5);
    T(q + 8192, 0);
    if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4000, 9000)) printf("no holes\n");
    else {
        T(p + 3999, 0);
        T(p + 4000, 0);
        T(p + 4096, 0);
        T(q + 4096, 0);
        T(q + 8192, 0);
        T(p + 12999, 0);
        T(p + 13000, 0);
        file("m");
        P(lseek(fd, 0, SEEK_HOLE) <= 16384);
        T(p + 8192, 66);
        file("m");
    }
    P(unlink("m"));
    T(p + 8192, 67);
    T(p + 1, 68);
    P(msync(p, 20480, MS_SYNC));
    P(pread(fd, buf, 2, 0));
    printf("%d %d\n", buf[0], buf[1]);
    P(fstat(fd, &st));
    printf("%d\n", (int)st.st_nlink);
    close(fd);
    close(ro);
    close(wo);
    T(p + 4, 0);
    T(p + 4, 9);
    T(p + 16384, 0);
    P(munmap(p, 20480));
    T(q + 4096, 0);
    P(munmap(q, 20480));
    P(fd = open("n", O_RDWR | O_CREAT, 0644));
    P(write(fd, buf, 8192));
    Q(p = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    P(fchmod(fd, 0));
    close(fd);
    T(p, 101);
    T(p + 4096, 102);
    P(munmap(p, 4096));
    P(chmod("n", 0644));
    file("n");
    P(munmap(p + 4096, 4096));
    file("n");
    P(fd = open("n", O_RDWR));
    Q(p = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    Q(r = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 4096));
    T(r, 45);
    T(p + 4096, 0);
    T(p + 4097, 46);
    T(r + 1, 0);
    P(munmap(p, 8192));
    T(r + 1, 0);
    T(r + 2, 47);
    file("n");
    if (!fork()) {
        r[3] = 48;
        _exit(0);
    }
    wait(0);
    T(r + 3, 0);
    file("n");
    if (!fork()) {
        r[4] = 49;
        execl("/nonexistent", "x", 0);
        kill(getpid(), SIGKILL);
    }
    wait(0);
    file("n");
    T(r + 4, 0);
    {
        int g = open("o", O_RDWR | O_CREAT, 0644);
        write(g, "replacement", 11);
        close(g);
        P(rename("o", "n"));
        T(r + 4, 0);
        T(r + 5, 50);
        P(msync(r, 4096, MS_SYNC));
        file("n");
        P(pread(fd, buf, 1, 4101));
        printf("%d\n", buf[0]);
    }
    P(munmap(r, 4096));
    P(pread(fd, buf, 1, 4101));
    printf("%d\n", buf[0]);
    close(fd);
    P(fd = open("n", O_RDWR));
    Q(p = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    P(pwrite(fd, p, 5, 11));
    file("n");
    P(pread(fd, p + 100, 16, 0));
    T(p + 100, 0);
    file("n");
    P(msync(p, 4096, MS_SYNC));
    P(read(fd, p, 4096));
    file("n");
    P(munmap(p, 4096));
    P(unlink("n"));
    close(fd);
    {
        char self[300], copy[] = "prog";
        int n = readlink("/proc/self/exe", self, 299);
        self[n] = 0;
        int a = open(self, O_RDONLY), b = open(copy, O_WRONLY | O_CREAT | O_TRUNC, 0755);
        while ((n = read(a, buf, sizeof buf)) > 0) write(b, buf, n);
        P(execl(copy, "x", (char *)0));
        close(b);
        int pp[2];
        pipe(pp);
        int pid = fork();
        if (!pid) {
            close(pp[1]);
            dup2(pp[0], 0);
            execl(copy, "prog", ".", "wait", "wait", (char *)0);
            _exit(1);
        }
        close(pp[0]);
        while (1) {
            char l[300], w[60];
            sprintf(w, "/proc/%d/exe", pid);
            int k = readlink(w, l, 299);
            if (k > 5 && !memcmp(l + k - 5, "/prog", 5)) break;
            usleep(1000);
        }
        P(open(copy, O_WRONLY));
        P(open(copy, O_RDONLY) > 0);
        P(open(copy, O_RDWR | O_TRUNC));
        P(truncate(copy, 100));
        int m = open(copy, O_RDONLY);
        Q(mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, m, 0));
        P(unlink(copy));
        close(pp[1]);
        kill(pid, SIGKILL);
        waitpid(pid, 0, 0);
    }
    return 0;
}
