// memfds and their seals, fallocate and holes, with good and bad arguments: what Linux 6.18 prints is in memfd-calls.expected.

#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "report.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U
#define MFD_EXEC 16U
#endif
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 32
#endif
static char buf[20000];
static void link_of(int fd) {
    char p[64], t[300];
    snprintf(p, sizeof p, "/proc/self/fd/%d", fd);
    int n = readlink(p, t, 299);
    t[n < 0 ? 0 : n] = 0;
    printf("link %s\n", t);
}

int main(void) {
    struct stat st;
    int fd, fd2, ro, f;
    char *p, *q;
    close_range(3, ~0u, 0);
    P(fd = memfd_create("hello", MFD_ALLOW_SEALING));
    link_of(fd);
    P(fstat(fd, &st));
    printf("%o %d %ld %ld\n", st.st_mode, (int)st.st_nlink, (long)st.st_size, (long)st.st_blocks);
    P(fcntl(fd, F_GETFL));
    P(fcntl(fd, F_GETFD));
    P(fcntl(fd, F_GET_SEALS));
    memset(buf, 'n', 300);
    buf[249] = 0;
    P(f = memfd_create(buf, 0));
    link_of(f);
    close(f);
    buf[249] = 'n';
    buf[250] = 0;
    P(memfd_create(buf, 0));
    P(f = memfd_create("", MFD_CLOEXEC));
    P(fcntl(f, F_GETFD));
    P(fcntl(f, F_GET_SEALS));
    link_of(f);
    P(fcntl(f, F_ADD_SEALS, F_SEAL_SHRINK));
    close(f);
    P(memfd_create((char *)16, 0));
    P(memfd_create("x", 0x100));
    P(memfd_create("x", MFD_EXEC | MFD_NOEXEC_SEAL));
    P(memfd_create("a/b", 1U << 26));
    P(f = memfd_create("a/b", 0));
    link_of(f);
    close(f);
    P(f = memfd_create("e", MFD_NOEXEC_SEAL));
    P(fcntl(f, F_GET_SEALS));
    P(fstat(f, &st));
    printf("%o\n", st.st_mode);
    P(fchmod(f, 0700));
    P(fchmod(f, 0600));
    P(fcntl(f, F_ADD_SEALS, F_SEAL_SEAL));
    close(f);
    P(f = memfd_create("e", MFD_EXEC | MFD_ALLOW_SEALING));
    P(fcntl(f, F_ADD_SEALS, F_SEAL_EXEC));
    P(fcntl(f, F_GET_SEALS));
    P(fchmod(f, 0600));
    P(fchmod(f, 0711));
    close(f);
    P(write(fd, "hello", 5));
    P(ftruncate(fd, 6000));
    P(lseek(fd, 0, SEEK_SET));
    P(read(fd, buf, 10));
    printf("%.5s\n", buf);
    Q(p = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    map_of(p);
    p[1] = 'E';
    P(pread(fd, buf, 5, 0));
    printf("%.5s\n", buf);
    P(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
    P(mprotect(p, 8192, PROT_READ));
    P(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
    P(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE));
    P(mprotect(p, 8192, PROT_READ | PROT_WRITE));
    p[0] = 'J';
    P(write(fd, "x", 1));
    P(pwrite(fd, "x", 1, 100));
    Q(mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    Q(q = mmap(0, 4096, PROT_READ, MAP_SHARED, fd, 0));
    P(mprotect(q, 4096, PROT_READ | PROT_WRITE));
    printf("%c\n", q[0]);
    munmap(q, 4096);
    Q(q = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
    q[0] = 'x';
    printf("%c%c\n", q[0], p[0]);
    munmap(q, 4096);
    P(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096));
    P(fallocate(fd, 0, 0, 100));
    P(fallocate(fd, 0, 0, 10000));
    P(ftruncate(fd, 7000));
    P(ftruncate(fd, 5000));
    munmap(p, 8192);
    P(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
    P(fcntl(fd, F_GET_SEALS));
    P(fcntl(fd, F_ADD_SEALS, 0));
    P(fcntl(fd, F_ADD_SEALS, 0x80));
    Q(q = mmap(0, 4096, PROT_READ, MAP_SHARED, fd, 0));
    P(mprotect(q, 4096, PROT_READ | PROT_WRITE));
    munmap(q, 4096);
    P(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK));
    P(ftruncate(fd, 4000));
    P(ftruncate(fd, 5000));
    P(ftruncate(fd, 9000));
    P(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW));
    P(ftruncate(fd, 9001));
    P(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 9001));
    P(fallocate(fd, 0, 0, 9000));
    P(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL));
    P(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL));
    P(fcntl(fd, F_GET_SEALS));
    P(fd2 = memfd_create("grow", MFD_ALLOW_SEALING));
    P(ftruncate(fd2, 5000));
    P(fcntl(fd2, F_ADD_SEALS, F_SEAL_GROW));
    P(pwrite(fd2, buf, 5000, 0));
    P(pwrite(fd2, buf, 5001, 0));
    P(pwrite(fd2, buf, 200, 4900));
    P(pwrite(fd2, buf, 200, 4090));
    P(pwrite(fd2, buf, 100, 4901));
    P(pwrite(fd2, buf, 1, 5000));
    P(pwrite(fd2, buf, 0, 5000));
    P(ftruncate(fd2, 4000));
    P(fallocate(fd2, 0, 0, 4001));
    {
        char path[64];
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd2);
        P(ro = open(path, O_RDONLY));
        link_of(ro);
        P(fcntl(ro, F_GET_SEALS));
        P(fcntl(ro, F_ADD_SEALS, 0));
        Q(q = mmap(0, 4096, PROT_READ, MAP_SHARED, ro, 0));
        P(mprotect(q, 4096, PROT_READ | PROT_WRITE));
        P(fcntl(fd2, F_ADD_SEALS, F_SEAL_WRITE));
        Q(mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, ro, 0));
        P(open(path, O_RDWR | O_TRUNC));
    }
    {
        int out;
        P(out = memfd_create("out", MFD_ALLOW_SEALING));
        P(fcntl(out, F_ADD_SEALS, F_SEAL_WRITE));
        P(lseek(fd, 0, SEEK_SET));
        P(sendfile(out, fd, 0, 100));
        P(copy_file_range(fd, 0, out, 0, 100, 0));
    }
    P(fcntl(0, F_GET_SEALS));
    {
        int t;
        P(t = open("/dev/shm/seal-test", O_RDWR | O_CREAT, 0600));
        P(fcntl(t, F_GET_SEALS));
        P(fcntl(t, F_ADD_SEALS, F_SEAL_WRITE));
        P(unlink("/dev/shm/seal-test"));
    }
    {
        int d = open("/dev/zero", O_RDWR);
        P(fcntl(d, F_GET_SEALS));
        Q(p = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, d, 0));
        if (!fork()) {
            p[5000] = 7;
            _exit(0);
        }
        wait(0);
        printf("%d\n", p[5000]);
        map_of(p);
    }
    P(fd = memfd_create("hole", 0));
    P(ftruncate(fd, 1 << 20));
    P(pwrite(fd, "x", 1, 100000));
    P(lseek(fd, 0, SEEK_DATA));
    P(lseek(fd, 98304, SEEK_HOLE));
    P(lseek(fd, 102400, SEEK_DATA));
    P(lseek(fd, 102400, SEEK_HOLE));
    P(fstat(fd, &st));
    printf("%ld\n", (long)st.st_blocks);
    P(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 98304, 4096));
    P(lseek(fd, 0, SEEK_DATA));
    P(fstat(fd, &st));
    printf("%ld\n", (long)st.st_blocks);
    P(lseek(fd, 1 << 20, SEEK_HOLE));
    P(lseek(fd, -1, SEEK_DATA));
    P(fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, 4096));
    P(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, 4096));
    P(fallocate(fd, FALLOC_FL_INSERT_RANGE, 0, 4096));
    P(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 4096));
    P(fallocate(fd, 0x80, 0, 4096));
    P(fallocate(fd, 0, -1, 4096));
    P(fallocate(fd, 0, 0, 0));
    P(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 3 << 19));
    P(fstat(fd, &st));
    printf("%ld %ld\n", (long)st.st_size, (long)st.st_blocks);
    P(ftruncate(fd, 1 << 20));
    P(fstat(fd, &st));
    printf("%ld %ld\n", (long)st.st_size, (long)st.st_blocks);
    P(fallocate(fd, 0, 1 << 20, 4096));
    P(fstat(fd, &st));
    printf("%ld %ld\n", (long)st.st_size, (long)st.st_blocks);
    P(fallocate(0 + 99, 0, 0, 1));
    {
        int pp[2];
        pipe(pp);
        P(fallocate(pp[1], 0, 0, 1));
        P(fallocate(pp[0], 0, 0, 1));
    }
    {
        int d = open("/dev/shm", O_RDONLY);
        P(fallocate(d, 0, 0, 1));
    }
    {
        int d = open("/dev/null", O_RDWR);
        P(fallocate(d, 0, 0, 1));
    }
    P(memfd_create("hole", 0));
    return 0;
}
