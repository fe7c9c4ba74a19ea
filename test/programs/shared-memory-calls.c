// System V and POSIX shared memory, and futexes in it: what Linux 6.18 prints for root is in shared-memory-calls.expected.

#define _GNU_SOURCE
#include <fcntl.h>
#include <grp.h>
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "report.h"

#ifndef SHM_STAT_ANY
#define SHM_STAT_ANY 15
#endif
static struct shmid_ds ds;
static void show(int id) {
    if (shmctl(id, IPC_STAT, &ds) < 0) {
        printf("  gone: %s\n", strerrorname_np(errno));
        return;
    }
    printf("  key %x mode %o uid %d gid %d cuid %d cgid %d size %ld nattch %ld times %d%d%d pids %d %d\n", (unsigned)ds.shm_perm.__key, ds.shm_perm.mode, ds.shm_perm.uid, ds.shm_perm.gid, ds.shm_perm.cuid, ds.shm_perm.cgid, (long)ds.shm_segsz, (long)ds.shm_nattch, ds.shm_atime != 0, ds.shm_dtime != 0, ds.shm_ctime != 0, ds.shm_cpid == getpid(), ds.shm_lpid == 0 ? 0 : ds.shm_lpid == getpid() ? 1 : 2);
}

/* POSIX shared memory and what the library builds on it: names in /dev/shm, and words that wake across processes. */
static void posix(void) {
    struct statfs fs;
    struct stat st;
    int fd, fd2;
    char *p, *q;
    P(statfs("/dev/shm", &fs));
    printf("%lx %ld\n", (long)fs.f_type, (long)fs.f_bsize);
    P(stat("/dev/shm", &st));
    printf("%o\n", st.st_mode);
    shm_unlink("/vitrine-test");
    P(shm_open("/vitrine-test", O_RDWR, 0));
    P(fd = shm_open("/vitrine-test", O_RDWR | O_CREAT | O_EXCL, 0640));
    P(shm_open("/vitrine-test", O_RDWR | O_CREAT | O_EXCL, 0640));
    P(fcntl(fd, F_GETFD));
    P(ftruncate(fd, 8192));
    P(fstat(fd, &st));
    printf("%o %ld\n", st.st_mode, (long)st.st_size);
    Q(p = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    P(fd2 = shm_open("/vitrine-test", O_RDONLY, 0));
    Q(q = mmap(0, 8192, PROT_READ, MAP_SHARED, fd2, 0));
    strcpy(p + 5000, "shared");
    puts(q + 5000);
    P(shm_unlink("/vitrine-test"));
    P(shm_unlink("/vitrine-test"));
    P(access("/dev/shm/vitrine-test", F_OK));
    map_of(q);
    puts(q + 5000);
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    pthread_mutex_t *mutex = (void *)p;
    pthread_mutex_init(mutex, &attr);
    int *count = (int *)(p + 4096);
    for (int i = 0; i < 3; i++) if (!fork()) {
        char *mine = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        for (int j = 0; j < 300; j++) {
            pthread_mutex_lock((void *)mine);
            int was = *(volatile int *)(mine + 4096);
            if (j % 50 == 0) usleep(100);
            *(volatile int *)(mine + 4096) = was + 1;
            pthread_mutex_unlock((void *)mine);
        }
        _exit(0);
    }
    while (wait(0) > 0);
    printf("counted %d\n", *count);
    sem_unlink("/vitrine-sem");
    sem_t *sem = sem_open("/vitrine-sem", O_CREAT | O_EXCL, 0600, 0);
    P(sem == SEM_FAILED);
    if (!fork()) {
        sem_t *s = sem_open("/vitrine-sem", 0);
        sem_wait(s);
        count[1] = 5;
        sem_post(s);
        sem_wait(s);
        _exit(7);
    }
    sem_post(sem);
    while (!*(volatile int *)(count + 1)) usleep(100);
    sem_post(sem);
    int status;
    wait(&status);
    printf("child %d\n", WEXITSTATUS(status));
    P(sem_unlink("/vitrine-sem"));
    int *word = (int *)(p + 4100), *other = (int *)mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) + 1025;
    *word = 0;
    if (!fork()) {
        syscall(SYS_futex, other, FUTEX_WAIT, 0, 0, 0, 0);
        _exit(*other);
    }
    while (syscall(SYS_futex, word, FUTEX_WAKE, 1, 0, 0, 0) == 0) usleep(100);
    wait(0);
    P(syscall(SYS_futex, word, FUTEX_WAKE, 1, 0, 0, 0));
    P(syscall(SYS_futex, 0x1000, FUTEX_WAKE, 1, 0, 0, 0));
    P(syscall(SYS_futex, 0x1000, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, 0, 0, 0));
    P(syscall(SYS_futex, word, FUTEX_WAIT, 1, 0, 0, 0));
    munmap(p, 4096);
    P(madvise(p + 4096, 4096, MADV_REMOVE));
    printf("%d\n", *count);
    Q(p = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
    P(madvise(p, 4096, MADV_REMOVE));
    Q(p = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    P(madvise(p, 4096, MADV_REMOVE));
    Q(p = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    p[1] = 3;
    P(madvise(p, 4096, MADV_DONTNEED));
    printf("%d\n", p[1]);
    P(madvise(p, 4096, MADV_REMOVE));
    printf("%d\n", p[1]);
    P(madvise(q, 4096, MADV_REMOVE));
}

int main(int argc, char **argv) {
    if (argc > 1) {
        puts("executed");
        return 0;
    }
    int child;
    catch_faults();
    int id, id2, id3;
    char *p, *q, *r;
    key_t key = 0x56544e17;
    struct shminfo info;
    struct shm_info usage;
    P(shmget(key, 4096, 0600));
    Q(id = shmget(key, 10000, IPC_CREAT | 0640));
    show(id);
    P(shmget(key, 10001, 0));
    P(shmget(key, 10000, IPC_CREAT | IPC_EXCL | 0600));
    P(shmget(key, 0, 0) == id);
    P(shmget(key, 10000, 0600) == id);
    P(shmget(IPC_PRIVATE, 0, 0600));
    P(shmget(IPC_PRIVATE, 1UL << 62, 0600));
    P(shmget(key + 0x1000, 0, IPC_CREAT | 0600));
    Q(p = shmat(id, 0, 0));
    show(id);
    map_of(p);
    Q(q = shmat(id, 0, SHM_RDONLY));
    show(id);
    map_of(q);
    strcpy(p, "hello");
    puts(q);
    puts(touch(q, 1));
    puts(touch(p + 12287, 1));
    P(q[12287]);
    P(mprotect(q, 4096, PROT_READ | PROT_WRITE));
    P(mprotect(p, 4096, PROT_READ | PROT_WRITE | PROT_EXEC));
    P(mprotect(p, 4096, PROT_READ | PROT_WRITE));
    Q(shmat(id, (void *)0x10000001, 0));
    Q(shmat(id, p, 0));
    Q(shmat(id, p, SHM_REMAP));
    Q(shmat(id, 0, SHM_REMAP));
    Q(shmat(id, p + 5, SHM_RND | SHM_REMAP));
    show(id);
    Q(r = shmat(id, (void *)0x20000123, SHM_RND));
    P((long)r);
    Q(shmat(id, (void *)0x20002000, 0));
    P(shmdt(r));
    Q(shmat(-1, 0, 0));
    Q(shmat(id + 12345, 0, 0));
    Q(shmat(id, (void *)0x7ffffffff000, 0));
    P(shmdt(p + 1));
    P(shmdt(p + 4096));
    P(shmdt((void *)0x30000000));
    P(shmdt(0));
    P(munmap(p + 4096, 4096));
    show(id);
    puts(p);
    P(shmdt(p));
    show(id);
    P(shmdt(p));
    puts(q);
    if (!fork()) {
        show(id);
        P(shmctl(id, IPC_STAT, &ds));
        _exit(0);
    }
    wait(0);
    show(id);
    {
        int pp[2];
        pipe(pp);
        if (!(child = fork())) {
            Q(r = shmat(id, 0, 0));
            r[1] = 'E';
            write(pp[1], "x", 1);
            pause();
            _exit(0);
        }
        char c;
        read(pp[0], &c, 1);
        show(id);
        puts(q);
        kill(child, SIGKILL);
        waitpid(child, 0, 0);
    }
    show(id);
    ds.shm_perm.uid = 1;
    ds.shm_perm.gid = 2;
    ds.shm_perm.mode = 07604;
    P(shmctl(id, IPC_SET, &ds));
    show(id);
    P(shmctl(id, IPC_SET, (void *)16));
    P(shmctl(id, IPC_STAT, (void *)16));
    P(shmctl(id, 99, &ds));
    P(shmctl(-1, IPC_STAT, &ds));
    P(shmctl(id, -1, &ds));
    P(shmctl(id + 1000000, IPC_STAT, &ds));
    P(shmctl(id, IPC_STAT | 0x100, &ds));
    P(shmctl(id, SHM_LOCK, 0));
    show(id);
    P(shmctl(id, SHM_UNLOCK, 0));
    show(id);
    Q(shmctl(0, IPC_INFO, (void *)&info));
    printf("%lu %lu %lu %lu %lu\n", info.shmmax, info.shmmin, info.shmmni, info.shmseg, info.shmall);
    Q(shmctl(0, SHM_INFO, (void *)&usage));
    P(usage.used_ids >= 1 && usage.shm_tot >= 3 && usage.shm_rss >= 2);
    P(shmctl(id & 0x7fff, SHM_STAT, &ds) == id);
    P(shmctl(id & 0x7fff, SHM_STAT_ANY, &ds) == id);
    P(shmctl((id & 0x7fff) + 50, SHM_STAT, &ds));
    if (!fork()) {
        setgid(77);
        setuid(77);
        setgroups(0, 0);
        P(shmget(key, 100, 0600));
        P(shmget(key, 100, 04) == id);
        P(shmget(key, 100, 0) == id);
        Q(shmat(id, 0, 0));
        Q(shmat(id, 0, SHM_RDONLY));
        Q(shmat(id, 0, SHM_RDONLY | SHM_EXEC));
        P(shmctl(id, IPC_STAT, &ds));
        P(shmctl(id, IPC_SET, &ds));
        P(shmctl(id, IPC_RMID, 0));
        P(shmctl(id, SHM_LOCK, 0));
        P(shmctl(id & 0x7fff, SHM_STAT, &ds) == id);
        Q(id3 = shmget(IPC_PRIVATE, 100, 0));
        Q(shmat(id3, 0, 0));
        P(shmctl(id3, IPC_STAT, &ds));
        P(shmctl(id & 0x7fff, SHM_STAT_ANY, &ds) == id);
        P(shmctl(id3, IPC_RMID, 0));
        _exit(0);
    }
    wait(0);
    P(shmctl(id, IPC_RMID, 0));
    show(id);
    map_of(q);
    P(shmget(key, 100, 0600));
    Q(r = shmat(id, 0, 0));
    show(id);
    P(shmdt(r));
    P(shmctl(id, IPC_RMID, 0));
    puts(q);
    Q(id2 = shmget(key, 100, IPC_CREAT | 0600));
    P(id2 != id);
    P(shmdt(q));
    show(id2);
    Q(p = shmat(id2, 0, 0));
    P(mremap(p, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, 0x40000000) == (void *)0x40000000);
    show(id2);
    p = (char *)0x40000000;
    P(mremap(p, 4096, 8192, MREMAP_MAYMOVE) != MAP_FAILED);
    {
        FILE *f = fopen("/proc/sysvipc/shm", "r");
        char line[400];
        fgets(line, 400, f);
        fputs(line, stdout);
        while (fgets(line, 400, f)) {
            int k, i, m;
            unsigned long s;
            sscanf(line, "%d %d %o %lu", &k, &i, &m, &s);
            if (i == id2) printf("%x %o %lu\n", k == key, m, s);
        }
        fclose(f);
    }
    P(shmctl(id2, IPC_RMID, 0));
    show(id2);
    Q(id = shmget(IPC_PRIVATE, 4096, 0600 | SHM_HUGETLB | (5 << 26)));
    Q(id = shmget(IPC_PRIVATE, 1 << 20, 0600));
    Q(p = shmat(id, 0, 0));
    Q(r = shmat(id, 0, 0));
    P(shmctl(id, IPC_RMID, 0));
    show(id);
    p[99999] = 5;
    P(r[99999]);
    P(munmap(p, 1 << 19));
    show(id);
    P(munmap(p + (1 << 19), 1 << 19));
    P(r[99999]);
    show(id);
    if (!fork()) {
        P(r[99999]);
        execl("/proc/self/exe", "x", "again", (char *)0);
        _exit(0);
    }
    wait(0);
    P(shmdt(r));
    show(id);
    posix();
    return 0;
}
