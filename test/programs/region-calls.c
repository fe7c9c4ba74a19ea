// Mappings, and what may be said of them, with good and bad arguments: what Linux 6.18 prints for root is in region-calls.expected.

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "report.h"

#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
#define PR_SET_MDWE 65
#define PR_GET_MDWE 66

enum { PAGE = 4096, NONE = 0, R = PROT_READ, W = PROT_WRITE, RW = R | W, RX = R | PROT_EXEC, RWX = RW | PROT_EXEC };
enum { MOVE = MREMAP_MAYMOVE | MREMAP_FIXED };
static char *const base = (char *)0x200000000;
static const long window = 64 << 20;
static int fd, ro, wo, dir, pp[2];
static unsigned char vec[64];

static void clear(void) { munmap(base, window); }

static char *an(long page, long pages, int prot) {
    return mmap(base + page * PAGE, pages * PAGE, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

static char *sh(long page, long pages, int prot) {
    return mmap(base + page * PAGE, pages * PAGE, prot, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

static void wr(char *at, int value) { touch(at, value); }

/* The mappings of the window. */
static void maps(void) {
    FILE *file = fopen("/proc/self/maps", "r");
    char line[600], rights[8];
    unsigned long start, end, from = (unsigned long)base;
    while (fgets(line, sizeof line, file)) {
        sscanf(line, "%lx-%lx %7s", &start, &end, rights);
        if (start >= from && end <= from + window) printf("  %ld-%ld %s\n", (start - from) / PAGE, (end - from) / PAGE, rights);
    }
    fclose(file);
}

/* Kilobytes that are locked. */
static long locked(void) {
    FILE *file = fopen("/proc/self/status", "r");
    char line[600];
    long size = -1;
    while (fgets(line, sizeof line, file)) sscanf(line, "VmLck: %ld", &size);
    fclose(file);
    return size;
}

static void test_mmap(void) {
    P(mmap(0, 0, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    P(mmap(0, PAGE, RW, MAP_ANONYMOUS, -1, 0));
    P(mmap(0, PAGE, RW, MAP_ANONYMOUS | 4, -1, 0));
    P(mmap(0, PAGE, RW, MAP_ANONYMOUS | MAP_SHARED_VALIDATE, -1, 0));
    P(mmap(base, PAGE, RW, MAP_FIXED | MAP_SHARED_VALIDATE, fd, 0));
    P(mmap(base, PAGE, RW, MAP_SHARED_VALIDATE | (1 << 22), fd, 0));
    P(mmap(base, PAGE, RW, MAP_SHARED_VALIDATE | MAP_SYNC, fd, 0));
    P(mmap(base + PAGE, PAGE, RW, MAP_SHARED_VALIDATE | MAP_FIXED_NOREPLACE, fd, 0));
    P(mmap(0, PAGE, RW, MAP_PRIVATE, -1, 0));
    P(mmap(0, 0, RW, MAP_PRIVATE, -1, 0));
    P(mmap(0, PAGE, R, MAP_PRIVATE, pp[0], 0));
    P(mmap(0, PAGE, RW, MAP_SHARED, pp[0], 0));
    P(mmap(0, PAGE, R, MAP_PRIVATE, dir, 0));
    P(mmap(0, PAGE, RW, MAP_SHARED, ro, 0));
    P(mmap(0, PAGE, W, MAP_SHARED, wo, 0));
    P(mmap(0, PAGE, W, MAP_PRIVATE, wo, 0));
    P(mmap(base, PAGE, RW, MAP_PRIVATE | MAP_FIXED, ro, 0));
    P(mmap(0, PAGE, RW, MAP_PRIVATE, fd, 123));
    P(mmap(0, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 123));
    P(mmap(base, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, -4096));
    P(mmap(0, PAGE, RW, MAP_PRIVATE, fd, -4096));
    P(mmap(base + 1, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
    P(mmap((void *)0x7ffffffff000, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
    P(mmap((void *)0x1000000000000000, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
    P(mmap(0, -1UL, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    P(mmap(0, 1UL << 62, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    P(mmap(0, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0));
    P(mmap(0, PAGE, RW, MAP_PRIVATE | MAP_GROWSDOWN, fd, 0));
    P(mmap(base, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
    P(mmap(base + 8 * PAGE, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
    P(mmap(base + 20 * PAGE + 5, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    P(mmap(0, 2 << 20, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | (16 << 26), -1, 0));
    P(mmap(0, 2 << 20, RW, MAP_PRIVATE | MAP_HUGETLB, fd, 0));
    Q(mmap(0, 8 << 20, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    P(mmap(base + 30 * PAGE, PAGE, 3 | 0x1000, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
    clear();
}

static void test_merge(void) {
    an(10, 2, RW);
    an(12, 2, RW);
    an(8, 2, RW);
    maps();
    an(14, 2, R);
    maps();
    P(mprotect(base + 14 * PAGE, 2 * PAGE, RW));
    maps();
    munmap(base + 11 * PAGE, PAGE);
    maps();
    an(11, 1, RW);
    maps();
    wr(base + 8 * PAGE, 1);
    wr(base + 15 * PAGE, 1);
    mprotect(base + 10 * PAGE, 2 * PAGE, R);
    maps();
    mprotect(base + 10 * PAGE, 2 * PAGE, RW);
    maps();
    clear();
    an(0, 1, RW);
    an(2, 1, RW);
    wr(base, 1);
    wr(base + 2 * PAGE, 1);
    an(1, 1, RW);
    maps();
    clear();
    mmap(base, 2 * PAGE, R, MAP_PRIVATE | MAP_FIXED, fd, 0);
    mmap(base + 2 * PAGE, 2 * PAGE, R, MAP_PRIVATE | MAP_FIXED, fd, 2 * PAGE);
    maps();
    clear();
    mmap(base + 2 * PAGE, 2 * PAGE, R, MAP_SHARED | MAP_FIXED, fd, 2 * PAGE);
    mmap(base, 2 * PAGE, R, MAP_SHARED | MAP_FIXED, fd, 0);
    maps();
    clear();
    sh(0, 2, RW);
    sh(2, 2, RW);
    maps();
    clear();
}

static void test_munmap(void) {
    P(munmap(base, 0));
    P(munmap(base + 1, PAGE));
    P(munmap(base, PAGE));
    P(munmap(base, -4096UL));
    P(munmap((void *)0x7ffffffff000, PAGE));
    P(munmap((void *)0x1000000000000000, PAGE));
    an(0, 4, RW);
    P(munmap(base + PAGE, PAGE));
    maps();
    clear();
}

static void test_mprotect(void) {
    an(0, 4, RW);
    P(mprotect(base, 0, R));
    P(mprotect(base, 0, 0x1000));
    P(mprotect(base + 1, PAGE, R));
    P(mprotect(base, PAGE, 0x1000));
    P(mprotect(base, PAGE, R | PROT_GROWSDOWN | PROT_GROWSUP));
    P(mprotect(base, PAGE, R | PROT_GROWSDOWN));
    P(mprotect(base, PAGE, R | PROT_GROWSUP));
    P(mprotect(base + 2 * PAGE, 4 * PAGE, R));
    maps();
    P(mprotect(base + 40 * PAGE, PAGE, R));
    P(mprotect(base + 10 * PAGE, PAGE, R));
    P(mprotect(base, -8192UL, R));
    P(mprotect(base, PAGE, 8 | 1));
    mmap(base + 10 * PAGE, PAGE, R, MAP_SHARED | MAP_FIXED, ro, 0);
    P(mprotect(base + 10 * PAGE, PAGE, RW));
    P(mprotect(base + 10 * PAGE, PAGE, RX));
    mmap(base + 12 * PAGE, PAGE, R, MAP_PRIVATE | MAP_FIXED, ro, 0);
    P(mprotect(base + 12 * PAGE, PAGE, RW));
    T(base + 12 * PAGE, 'z');
    T(base + 12 * PAGE, 0);
    clear();
    an(0, 1, NONE);
    T(base, 0);
    P(mprotect(base, PAGE, W));
    T(base, 3);
    T(base, 0);
    clear();
    an(0, 2, RW);
    mmap(base + 2 * PAGE, PAGE, R, MAP_SHARED | MAP_FIXED, ro, 0);
    an(3, 1, RW);
    P(mprotect(base, 4 * PAGE, W));
    maps();
    clear();
}

static void test_mremap(void) {
    an(0, 4, RW);
    for(int i=0;i<4;i++) wr(base + i * PAGE, 10 + i);
    P(mremap(base, PAGE, PAGE, 8));
    P(mremap(base, PAGE, PAGE, MREMAP_FIXED, base + 20 * PAGE));
    P(mremap(base, PAGE, PAGE, MREMAP_DONTUNMAP, base + 20 * PAGE));
    P(mremap(base, PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, base + 20 * PAGE));
    P(mremap(base + 1, PAGE, PAGE, 0));
    P(mremap(base, PAGE, 0, 0));
    P(mremap(base, 0, PAGE, MREMAP_MAYMOVE));
    P(mremap(base + 40 * PAGE, PAGE, 2 * PAGE, MREMAP_MAYMOVE));
    P(mremap(base, 8 * PAGE, 16 * PAGE, MREMAP_MAYMOVE));
    P(mremap(base, 4 * PAGE, 4 * PAGE, 0));
    P(mremap(base, 8 * PAGE, 8 * PAGE, 0));
    P(mremap(base, 8 * PAGE, 6 * PAGE, 0));
    P(mremap(base, 4 * PAGE, 4 * PAGE, MOVE, base + 2 * PAGE));
    P(mremap(base, PAGE, PAGE, MOVE, base + 20 * PAGE + 1));
    P(mremap(base, PAGE, PAGE, MOVE, (void *)0x7ffffffff000));
    P(mremap(base, PAGE, 1UL << 50, MREMAP_MAYMOVE));
    P(mremap(base, PAGE, -4096UL, MREMAP_MAYMOVE));
    P(mremap(base, 4 * PAGE, 6 * PAGE, 0));
    maps();
    an(6, 1, R);
    P(mremap(base, 6 * PAGE, 8 * PAGE, 0));
    P(mremap(base, 2 * PAGE, 3 * PAGE, 0));
    P(mremap(base, 6 * PAGE, 3 * PAGE, 0));
    maps();
    T(base + 3 * PAGE, 0);
    P(mremap(base, 3 * PAGE, 3 * PAGE, MOVE, base + 20 * PAGE));
    maps();
    T(base + 22 * PAGE, 0);
    T(base, 0);
    P(mremap(base + 21 * PAGE, PAGE, PAGE, MOVE, base + 40 * PAGE));
    maps();
    T(base + 40 * PAGE, 0);
    P(mremap(base + 22 * PAGE, PAGE, 3 * PAGE, MOVE, base + 50 * PAGE));
    T(base + 50 * PAGE, 0);
    T(base + 52 * PAGE, 0);
    P(mremap(base + 50 * PAGE, 3 * PAGE, PAGE, MOVE, base + 60 * PAGE));
    maps();
    clear();
    an(0, 3, RW);
    wr(base, 1);
    wr(base + PAGE, 2);
    wr(base + 2 * PAGE, 3);
    P(mremap(base, 3 * PAGE, 3 * PAGE, MOVE | MREMAP_DONTUNMAP, base + 20 * PAGE));
    maps();
    T(base, 0);
    T(base + 21 * PAGE, 0);
    T(base + PAGE, 9);
    T(base + 21 * PAGE, 0);
    maps();
    clear();
    sh(0, 3, RW);
    wr(base, 1);
    wr(base + PAGE, 2);
    wr(base + 2 * PAGE, 3);
    P(mremap(base + PAGE, 0, 2 * PAGE, MOVE, base + 20 * PAGE));
    maps();
    T(base + 20 * PAGE, 0);
    T(base + 21 * PAGE, 77);
    T(base + 2 * PAGE, 0);
    P(mremap(base, 3 * PAGE, 3 * PAGE, MOVE | MREMAP_DONTUNMAP, base + 30 * PAGE));
    T(base + 32 * PAGE, 0);
    T(base + 2 * PAGE, 0);
    maps();
    clear();
    sh(0, 2, RW);
    P(mremap(base, 2 * PAGE, 4 * PAGE, 0));
    T(base + PAGE, 1);
    T(base + 3 * PAGE, 1);
    T(base + 2 * PAGE, 0);
    clear();
    mmap(base, 2 * PAGE, RW, MAP_SHARED | MAP_FIXED, fd, 0);
    P(mremap(base, 2 * PAGE, 6 * PAGE, 0));
    T(base + 5 * PAGE, 0);
    P(mremap(base, 6 * PAGE, 10 * PAGE, 0));
    T(base + 8 * PAGE, 0);
    clear();
    mmap(base, 2 * PAGE, RW, MAP_PRIVATE | MAP_FIXED, fd, PAGE);
    wr(base, 'Q');
    P(mremap(base, 2 * PAGE, 3 * PAGE, MOVE, base + 20 * PAGE));
    T(base + 20 * PAGE, 0);
    T(base + 21 * PAGE, 0);
    T(base + 22 * PAGE, 0);
    maps();
    P(mremap(base + 20 * PAGE, 3 * PAGE, 3 * PAGE, MOVE | MREMAP_DONTUNMAP, base + 30 * PAGE));
    T(base + 30 * PAGE, 0);
    T(base + 20 * PAGE, 0);
    clear();
    an(0, 2, RW);
    an(3, 2, R);
    wr(base, 5);
    P(mremap(base, 5 * PAGE, 5 * PAGE, MOVE, base + 20 * PAGE));
    maps();
    T(base + 20 * PAGE, 0);
    P(mremap(base + 22 * PAGE, 3 * PAGE, 3 * PAGE, MOVE, base + 40 * PAGE));
    clear();
}

static void test_madvise(void) {
    an(0, 4, RW);
    P(madvise(base, PAGE, 999));
    P(madvise(base + 1, PAGE, MADV_NORMAL));
    P(madvise(base, 0, MADV_NORMAL));
    P(madvise(base, 0, 999));
    P(madvise(base, 8 * PAGE, MADV_DONTNEED));
    P(madvise(base, 8 * PAGE, MADV_NORMAL));
    P(madvise(base, -4096UL, MADV_NORMAL));
    P(madvise(base, 5, MADV_NORMAL));
    wr(base, 7);
    P(madvise(base, PAGE, MADV_DONTNEED));
    T(base, 0);
    wr(base, 7);
    P(madvise(base, PAGE, MADV_FREE));
    T(base, 0);
    wr(base, 8);
    T(base, 0);
    P(madvise(base, PAGE, MADV_REMOVE));
    P(madvise(base + PAGE, PAGE, MADV_DONTFORK));
    maps();
    P(madvise(base + PAGE, PAGE, MADV_DOFORK));
    maps();
    P(madvise(base + PAGE, PAGE, MADV_WIPEONFORK));
    P(madvise(base + PAGE, PAGE, MADV_KEEPONFORK));
    P(madvise(base, PAGE, MADV_COLD));
    P(madvise(base, PAGE, MADV_PAGEOUT));
    P(madvise(base, PAGE, MADV_WILLNEED));
    P(madvise(base, PAGE, MADV_DONTDUMP));
    P(madvise(base, PAGE, MADV_DODUMP));
    P(madvise(base, 4 * PAGE, MADV_POPULATE_READ));
    P(madvise(base, 4 * PAGE, MADV_POPULATE_WRITE));
    P(madvise(base, 8 * PAGE, MADV_POPULATE_READ));
    P(madvise(base, 0, MADV_POPULATE_READ));
    mprotect(base, PAGE, NONE);
    P(madvise(base, PAGE, MADV_POPULATE_READ));
    mprotect(base, PAGE, R);
    P(madvise(base, PAGE, MADV_POPULATE_WRITE));
    P(madvise(base, PAGE, MADV_POPULATE_READ));
    clear();
    sh(0, 4, RW);
    wr(base, 4);
    P(madvise(base, PAGE, MADV_FREE));
    P(madvise(base, PAGE, MADV_DONTNEED));
    T(base, 0);
    P(madvise(base, PAGE, MADV_WIPEONFORK));
    P(madvise(base, PAGE, MADV_KEEPONFORK));
    P(madvise(base, PAGE, MADV_REMOVE));
    T(base, 0);
    P(mprotect(base, PAGE, R));
    P(madvise(base, PAGE, MADV_REMOVE));
    clear();
    mmap(base, 4 * PAGE, RW, MAP_SHARED | MAP_FIXED, fd, 0);
    P(madvise(base, PAGE, MADV_REMOVE));
    T(base, 0);
    P(madvise(base, PAGE, MADV_FREE));
    P(madvise(base, PAGE, MADV_WIPEONFORK));
    P(madvise(base, PAGE, MADV_WILLNEED));
    mmap(base + 8 * PAGE, PAGE, RW, MAP_PRIVATE | MAP_FIXED, fd, PAGE);
    wr(base + 8 * PAGE, '!');
    P(madvise(base + 8 * PAGE, PAGE, MADV_FREE));
    P(madvise(base + 8 * PAGE, PAGE, MADV_WIPEONFORK));
    P(madvise(base + 8 * PAGE, PAGE, MADV_REMOVE));
    P(madvise(base + 8 * PAGE, PAGE, MADV_DONTNEED));
    T(base + 8 * PAGE, 0);
    mmap(base + 10 * PAGE, PAGE, R, MAP_SHARED | MAP_FIXED, ro, PAGE);
    P(madvise(base + 10 * PAGE, PAGE, MADV_REMOVE));
    mmap(base + 12 * PAGE, 4 * PAGE, RW, MAP_SHARED | MAP_FIXED, fd, 6 * PAGE);
    P(madvise(base + 12 * PAGE, 4 * PAGE, MADV_POPULATE_READ));
    clear();
    an(0, 2, RW);
    mlock(base, PAGE);
    P(madvise(base, PAGE, MADV_DONTNEED));
    P(madvise(base, PAGE, MADV_FREE));
    P(madvise(base, PAGE, MADV_COLD));
    P(madvise(base, PAGE, MADV_PAGEOUT));
    P(madvise(base, PAGE, MADV_DONTNEED_LOCKED));
    wr(base + PAGE, 3);
    P(madvise(base, 2 * PAGE, MADV_DONTNEED));
    T(base + PAGE, 0);
    clear();
    an(0, 4, RW);
    wr(base, 1);
    wr(base + PAGE, 2);
    wr(base + 2 * PAGE, 3);
    madvise(base + PAGE, PAGE, MADV_WIPEONFORK);
    madvise(base + 2 * PAGE, PAGE, MADV_DONTFORK);
    if (fork() == 0) {
        T(base, 0);
        T(base + PAGE, 0);
        T(base + 2 * PAGE, 0);
        maps();
        _exit(0);
    }
    wait(0);
    T(base + PAGE, 0);
    T(base + 2 * PAGE, 0);
    clear();
}

static void test_residency(void) {
    an(0, 4, RW);
    wr(base, 1);
    P(mincore(base, 4 * PAGE, vec));
    printf("%d%d%d%d\n", vec[0]&1, vec[1]&1, vec[2]&1, vec[3]&1);
    P(mincore(base, 8 * PAGE, vec));
    P(mincore(base + 1, PAGE, vec));
    P(mincore(base, 0, vec));
    P(mincore(base, PAGE, (void *)8));
    P(mincore(base, -4096UL, vec));
    P(msync(base, PAGE, 0));
    P(msync(base, PAGE, MS_SYNC | MS_ASYNC));
    P(msync(base, PAGE, 8));
    P(msync(base + 1, PAGE, MS_SYNC));
    P(msync(base, 8 * PAGE, MS_SYNC));
    P(msync(base + 20 * PAGE, PAGE, MS_SYNC));
    P(msync(base + 20 * PAGE, 0, MS_SYNC));
    mlock(base, PAGE);
    P(msync(base, PAGE, MS_INVALIDATE));
    P(msync(base, PAGE, MS_INVALIDATE | MS_SYNC));
    P(msync(base, -4096UL, MS_SYNC));
    P(msync(base, 8 * PAGE, MS_ASYNC));
    clear();
}

static void test_mlock(void) {
    an(0, 8, RW);
    P(mlock(base, 2 * PAGE));
    P(locked());
    P(mlock(base, PAGE + 1));
    P(locked());
    maps();
    P(munlock(base + PAGE, PAGE));
    P(locked());
    P(mlock(base + 6 * PAGE, 4 * PAGE));
    P(locked());
    P(munlock(base + 6 * PAGE, 4 * PAGE));
    P(locked());
    P(mlock(base, 0));
    P(mlock(base + 40 * PAGE, PAGE));
    P(mlock(base + 3 * PAGE + 5, PAGE));
    P(locked());
    P(mlock(base, -4096UL));
    P(mlock(base, -1UL));
    P(munlock(base, 8 * PAGE));
    P(locked());
    mprotect(base, PAGE, NONE);
    P(mlock(base, PAGE));
    P(locked());
    P(syscall(SYS_mlock2, base, PAGE, 2));
    P(syscall(SYS_mlock2, base + PAGE, PAGE, 1));
    P(locked());
    mincore(base + PAGE, PAGE, vec);
    printf("%d\n", vec[0]&1);
    P(munlockall());
    P(locked());
    P(mlockall(0));
    P(mlockall(4));
    P(mlockall(8));
    P((mmap(base + 20 * PAGE, 2 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_LOCKED, -1, 0) == MAP_FAILED));
    P(locked());
    mincore(base + 20 * PAGE, 2 * PAGE, vec);
    printf("%d%d\n", vec[0]&1, vec[1]&1);
    if (fork() == 0) {
        P(locked());
        _exit(0);
    }
    wait(0);
    P(munmap(base + 20 * PAGE, PAGE));
    P(locked());
    P(mremap(base + 21 * PAGE, PAGE, 3 * PAGE, 0));
    P(locked());
    mincore(base + 21 * PAGE, 3 * PAGE, vec);
    printf("%d%d%d\n", vec[0]&1, vec[1]&1, vec[2]&1);
    clear();
    P(mlockall(MCL_FUTURE));
    an(0, 2, RW);
    P(locked());
    mincore(base, 2 * PAGE, vec);
    printf("%d%d\n", vec[0]&1, vec[1]&1);
    P(munlockall());
    an(4, 2, RW);
    P(locked());
    P(mlockall(MCL_FUTURE | 4));
    an(8, 2, RW);
    mincore(base + 8 * PAGE, 2 * PAGE, vec);
    printf("%d%d\n", vec[0]&1, vec[1]&1);
    P(locked());
    munlockall();
    clear();
}

static void test_remap_file_pages(void) {
    mmap(base, 4 * PAGE, RW, MAP_SHARED | MAP_FIXED, fd, 0);
    P(syscall(SYS_remap_file_pages, base, PAGE, 1, 3, 0));
    P(syscall(SYS_remap_file_pages, base + PAGE, PAGE, 0, 3, 0));
    T(base + PAGE, 0);
    maps();
    P(syscall(SYS_remap_file_pages, base, 0, 0, 3, 0));
    P(syscall(SYS_remap_file_pages, base + 20 * PAGE, PAGE, 0, 3, 0));
    an(10, 1, RW);
    P(syscall(SYS_remap_file_pages, base + 10 * PAGE, PAGE, 0, 3, 0));
    clear();
}

static void test_mdwe(void) {
    P(prctl(PR_GET_MDWE, 0, 0, 0, 0));
    P(prctl(PR_SET_MDWE, 8, 0, 0, 0));
    P(prctl(PR_SET_MDWE, 2, 0, 0, 0));
    P(prctl(PR_SET_MDWE, 1, 1, 0, 0));
    an(0, 2, RW);
    an(4, 1, RX);
    P(prctl(PR_SET_MDWE, 1, 0, 0, 0));
    P(prctl(PR_GET_MDWE, 0, 0, 0, 0));
    P(prctl(PR_GET_MDWE, 1, 0, 0, 0));
    P(prctl(PR_SET_MDWE, 1, 0, 0, 0));
    P(prctl(PR_SET_MDWE, 3, 0, 0, 0));
    P(prctl(PR_SET_MDWE, 0, 0, 0, 0));
    P(mmap(base + 6 * PAGE, PAGE, RWX, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
    P(mmap(base + 6 * PAGE, PAGE, RX, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
    P(mprotect(base, PAGE, RX));
    P(mprotect(base, PAGE, RWX));
    P(mprotect(base + 4 * PAGE, PAGE, RX));
    P(mprotect(base + 4 * PAGE, PAGE, R));
    P(mprotect(base + 4 * PAGE, PAGE, RX));
    if (fork() == 0) {
        P(prctl(PR_GET_MDWE, 0, 0, 0, 0));
        _exit(0);
    }
    wait(0);
    clear();
}

static void test_growsdown(void) {
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN;
    char *s = mmap(base + 1024 * PAGE, 4 * PAGE, RW, flags, -1, 0);
    T(s - PAGE, 1);
    T(s - 20 * PAGE, 1);
    maps();
    P(mprotect(s + PAGE, PAGE, R | PROT_GROWSDOWN));
    maps();
    an(1024 - 300, 1, RW);
    T(s - 30 * PAGE, 1);
    T(s - 43 * PAGE, 1);
    T(s - 44 * PAGE, 1);
    maps();
    clear();
    s = mmap(base + 1024 * PAGE, 4 * PAGE, RW, flags, -1, 0);
    P(mmap(s - 100 * PAGE, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == s - 100 * PAGE);
    P(mmap(s - 257 * PAGE, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == s - 257 * PAGE);
    clear();
}

/* RLIMIT_MEMLOCK of a user, then none at all. */
static void limit_locks(void) {
    struct rlimit limit = {3 * PAGE, 3 * PAGE};
    setuid(1000);
    setrlimit(RLIMIT_MEMLOCK, &limit);
    P(mlock(base, 3 * PAGE));
    P(mlock(base, 4 * PAGE));
    P(mlock(base + 4 * PAGE, PAGE));
    P(mlock(base, 3 * PAGE));
    P(mmap(base + 20 * PAGE, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_LOCKED, -1, 0));
    P(mlockall(MCL_CURRENT));
    P(mlockall(MCL_FUTURE));
    P(mmap(base + 20 * PAGE, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
    P(munlockall());
    P(locked());
    P(mlock(base + 6 * PAGE, 2 * PAGE));
    P(mremap(base + 6 * PAGE, 2 * PAGE, 4 * PAGE, 0));
    limit.rlim_cur = limit.rlim_max = 0;
    setrlimit(RLIMIT_MEMLOCK, &limit);
    P(mlock(base, PAGE));
    P(munlock(base, PAGE));
    P(mlockall(MCL_CURRENT));
    P(mmap(base + 20 * PAGE, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_LOCKED, -1, 0));
    P(mlock(base, 0));
    P(mmap((void *)0, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
}

/* Four pages more than there are. */
static void limit_space(void) {
    struct rlimit limit;
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    fscanf(file, "%ld", &pages);
    fclose(file);
    getrlimit(RLIMIT_AS, &limit);
    limit.rlim_cur = (pages + 4) * PAGE;
    setrlimit(RLIMIT_AS, &limit);
    P(mmap(base + 20 * PAGE, 4 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
    P(mmap(base + 30 * PAGE, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
    P(mmap(base + 20 * PAGE, 4 * PAGE, R, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
    P(mremap(base, 8 * PAGE, 9 * PAGE, MREMAP_MAYMOVE));
    P(mremap(base, 8 * PAGE, 8 * PAGE, MOVE, base + 50 * PAGE));
    P(mremap(base + 50 * PAGE, 8 * PAGE, 8 * PAGE, MOVE | MREMAP_DONTUNMAP, base + 80 * PAGE));
}

static void limit_data(void) {
    struct rlimit limit = {0, 0};
    setrlimit(RLIMIT_DATA, &limit);
    P(mmap(base + 20 * PAGE, 4 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
    P(mmap(base + 20 * PAGE, 4 * PAGE, R, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
    P(mprotect(base + 20 * PAGE, 4 * PAGE, RW));
    P(mmap(base + 30 * PAGE, 4 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
    P(mremap(base, 8 * PAGE, 9 * PAGE, 0));
}

static void test_limits(void) {
    void (*const limits[])(void) = {limit_locks, limit_space, limit_data};
    an(0, 8, RW);
    for (int i = 0; i < 3; i++) {
        if (fork() == 0) {
            limits[i]();
            _exit(0);
        }
        wait(0);
    }
}

#define PMADVISE(fd, vectors, count, advice, flags) P(syscall(SYS_process_madvise, fd, vectors, count, advice, flags))

/* Advice to oneself and to a child, by pidfd. */
static void test_process_madvise(void) {
    struct iovec v[3] = {{base, PAGE}, {base + 2 * PAGE, 2 * PAGE}, {base + 40 * PAGE, PAGE}};
    int self = syscall(SYS_pidfd_open, getpid(), 0), gate[2];
    memset(an(0, 8, RW), 5, 8 * PAGE);
    PMADVISE(self, v, 2, MADV_COLD, 0);
    PMADVISE(self, v, 3, MADV_COLD, 0);
    PMADVISE(self, v + 2, 1, MADV_COLD, 0);
    PMADVISE(self, v, 2, MADV_COLD, 1);
    PMADVISE(self, v, 2, 999, 0);
    PMADVISE(-1, v, 2, MADV_COLD, 0);
    PMADVISE(0, v, 2, MADV_COLD, 0);
    PMADVISE(self, 8, 2, MADV_COLD, 0);
    PMADVISE(self, v, 2000, MADV_COLD, 0);
    PMADVISE(self, v, 0, MADV_COLD, 0);
    pipe(gate);
    int child = fork(), status;
    if (child == 0) {
        close(gate[1]);
        read(gate[0], vec, 1);
        _exit(base[0] != 5);
    }
    int other = syscall(SYS_pidfd_open, child, 0);
    PMADVISE(other, v, 2, MADV_COLD, 0);
    PMADVISE(other, v, 2, MADV_PAGEOUT, 0);
    PMADVISE(other, v, 2, MADV_DONTNEED, 0);
    PMADVISE(other, v, 2, MADV_WILLNEED, 0);
    close(gate[1]);
    P(waitpid(child, &status, 0) == child && status == 0);
    PMADVISE(other, v, 2, MADV_COLD, 0);
    clear();
}

int main(void) {
    char text[PAGE];
    catch_faults();
    fd = open("region-calls.data", O_RDWR | O_CREAT | O_TRUNC, 0600);
    for (int i = 0; i < 8; i++) write(fd, memset(text, 'a' + i, PAGE), PAGE);
    ro = open("region-calls.data", O_RDONLY);
    wo = open("region-calls.data", O_WRONLY);
    dir = open(".", O_RDONLY);
    pipe(pp);
    test_mmap();
    test_merge();
    test_munmap();
    test_mprotect();
    test_mremap();
    test_madvise();
    test_residency();
    test_mlock();
    test_remap_file_pages();
    test_mdwe();
    test_growsdown();
    test_limits();
    test_process_madvise();
    unlink("region-calls.data");
    return 0;
}
