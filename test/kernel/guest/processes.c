// Processes from the program's side: fork's kinds, exec, wait, orphans, groups and sessions, limits, clocks.

#include "check.h"
#include <fcntl.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

extern char **environ;

static int store_seven(void *place) {
  *(int *)place = 7;
  return 3;
}

/** The second life of the program: whether exec passed everything on. */
static int executed(int argc, char **argv) {
  int good = argc == 4 && strcmp(argv[2], "a b") == 0 && argv[3][0] == 0;
  good &= environ[0] != NULL && strcmp(environ[0], "K=V") == 0 && environ[1] == NULL;
  good &= getauxval(AT_PAGESZ) == 4096 && getauxval(AT_SECURE) == 0 && getauxval(AT_PHNUM) > 0;
  good &= getauxval(AT_PHDR) != 0 && getauxval(AT_RANDOM) != 0 && getauxval(AT_CLKTCK) == 100;
  good &= strcmp((char *)getauxval(AT_EXECFN), "/proc/self/exe") == 0;
  return good ? 9 : 1;
}

static void test_kinds_of_fork(void) {
  int status;
  volatile int shared = 0;
  pid_t child = vfork();
  if (child == 0) {
    shared = 5;
    _exit(2);
  }
  waitpid(child, &status, 0);
  CHECK(shared == 5 && WEXITSTATUS(status) == 2);

  int value = 0;
  char *stack = malloc(65536);
  child = clone(store_seven, stack + 65536, CLONE_VM | SIGCHLD, &value);
  waitpid(child, &status, 0);
  CHECK(value == 7 && WEXITSTATUS(status) == 3);
  child = clone(store_seven, stack + 65536, 0, &value);
  CHECK_FAILS(waitpid(child, &status, 0), ECHILD); // no exit signal: not a plain wait's child
  CHECK(waitpid(child, &status, __WALL) == child);

  int private_value = 1;
  int *shared_page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  IN_CHILD(status, {
    private_value = 2;
    *shared_page = 9;
  });
  CHECK(private_value == 1 && *shared_page == 9);
}

static void test_exec(void) {
  int status;
  static char long_argument[200000];
  IN_CHILD(status, {
    char *arguments[] = {"x", "executed", "a b", "", NULL};
    char *environment[] = {"K=V", NULL};
    execve("/proc/self/exe", arguments, environment);
    _exit(2);
  });
  CHECK(WEXITSTATUS(status) == 9);
  CHECK_FAILS(execl("/nonexistent", "x", NULL), ENOENT);
  CHECK_FAILS(execl("/", "x", NULL), EACCES);
  CHECK_FAILS(execve((char *)8, NULL, NULL), EFAULT);
  memset(long_argument, 'a', sizeof long_argument - 1);
  CHECK_FAILS(execl("/proc/self/exe", "x", long_argument, NULL), E2BIG);

  int file = open("/tmp/script", O_CREAT | O_WRONLY, 0755);
  dprintf(file, "#!/proc/self/exe script\n");
  CHECK_FAILS(execl("/tmp/script", "x", NULL), ETXTBSY);
  CHECK_FAILS(open("/proc/self/exe", O_WRONLY), ETXTBSY);
  close(file);
  file = open("/tmp/loop", O_CREAT | O_WRONLY, 0755);
  dprintf(file, "#!/tmp/loop\n");
  close(file);
  CHECK_FAILS(execl("/tmp/loop", "x", NULL), ELOOP);
  IN_CHILD(status, execl("/tmp/script", "ignored", "one", NULL));
  CHECK(WEXITSTATUS(status) == 11);
  file = open("/tmp/garbage", O_CREAT | O_WRONLY, 0755);
  write(file, "hello", 5);
  close(file);
  CHECK_FAILS(execl("/tmp/garbage", "x", NULL), ENOEXEC);
  chmod("/tmp/garbage", 0644);
  CHECK_FAILS(execl("/tmp/garbage", "x", NULL), EACCES);
}

/** A copy of this program that is owned by root and has the set-uid bit. */
static void make_set_id_program(const char *path) {
  static char buffer[65536];
  ssize_t length;
  int from = open("/proc/self/exe", O_RDONLY), to = open(path, O_CREAT | O_WRONLY, 0755);
  while ((length = read(from, buffer, sizeof buffer)) > 0) write(to, buffer, length);
  close(from);
  close(to);
  chmod(path, 04755);
}

static void test_set_id_programs(void) {
  int status;
  make_set_id_program("/tmp/set-id");
  IN_CHILD(status, {
    if (setgid(1000) != 0 || setuid(1000) != 0) _exit(1);
    if (setuid(0) != -1 || errno != EPERM) _exit(2);
    execl("/tmp/set-id", "x", "set-id", NULL);
    _exit(3);
  });
  CHECK(WEXITSTATUS(status) == 21);
  IN_CHILD(status, {
    setuid(1000);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    execl("/tmp/set-id", "x", "set-id", NULL);
  });
  CHECK(WEXITSTATUS(status) == 22);
  IN_CHILD(status, {
    struct rlimit few = {3, 3};
    setrlimit(RLIMIT_NPROC, &few);
    if (setuid(1000) != 0) _exit(1);
    pid_t children[4];
    int made = 0;
    while (made < 4 && (children[made] = fork()) > 0) made++;
    if (made < 4 && children[made] == 0) for (;;) pause();
    int failure = errno;
    for (int i = 0; i < made; i++) kill(children[i], SIGKILL);
    _exit(made == 2 && failure == EAGAIN ? 0 : 2);
  });
  CHECK(status == 0);
}

static void test_waiting(void) {
  int status, pipes[2], parent = 0;
  pipe(pipes);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  IN_CHILD(status, {
    if (fork() == 0) {
      usleep(2000);
      int now = getppid();
      write(pipes[1], &now, sizeof now);
      _exit(4);
    }
  });
  read(pipes[0], &parent, sizeof parent);
  CHECK(parent == getpid()); // the orphan came to the nearest subreaper
  CHECK(wait(&status) > 0 && WEXITSTATUS(status) == 4);

  pid_t child = fork();
  if (child == 0) pause();
  CHECK(waitpid(-1, &status, WNOHANG) == 0);
  kill(child, SIGKILL);
  CHECK(wait(&status) == child && WTERMSIG(status) == SIGKILL);
  CHECK_FAILS(wait(&status), ECHILD);
  CHECK_FAILS(waitpid(-1, &status, 0x40), EINVAL);
}

static void test_groups_and_sessions(void) {
  int status;
  IN_CHILD(status, {
    if (getsid(0) != getsid(getppid())) _exit(1);
    if (setsid() != getpid() || getpgrp() != getpid()) _exit(2);
    if (setsid() != -1 || errno != EPERM) _exit(3);
    if (setpgid(0, getppid()) != -1 || errno != EPERM) _exit(4);
  });
  CHECK(status == 0);
  CHECK_FAILS(setpgid(1, 1), ESRCH);
}

static void test_limits(void) {
  struct rlimit limit;
  int copies[20], opened = 0, status;
  getrlimit(RLIMIT_NOFILE, &limit);
  struct rlimit low = {10, limit.rlim_max};
  setrlimit(RLIMIT_NOFILE, &low);
  while (opened < 20 && (copies[opened] = dup(1)) >= 0) opened++;
  CHECK(errno == EMFILE && copies[opened - 1] == 9);
  while (opened > 0) close(copies[--opened]);
  setrlimit(RLIMIT_NOFILE, &limit);
  struct rlimit wrong = {5, 1};
  CHECK_FAILS(setrlimit(RLIMIT_CORE, &wrong), EINVAL);

  // A process that forks without end is stopped by EAGAIN, and everything it made can be ended.
  pid_t group = fork();
  if (group == 0) {
    setpgid(0, 0);
    pid_t child;
    while ((child = fork()) > 0) continue;
    if (child == 0) for (;;) pause();
    _exit(errno == EAGAIN ? 3 : 4);
  }
  CHECK(waitpid(group, &status, 0) == group && WEXITSTATUS(status) == 3);
  CHECK(kill(-group, SIGKILL) == 0);
  while (wait(&status) > 0) continue;
  CHECK(fork() != 0 || (_exit(0), 1));
  wait(&status);
}

/** Takes a thousand million instructions. */
static void test_processor_limit(void) {
  int status;
  IN_CHILD(status, {
    struct rlimit seconds = {1, 2};
    setrlimit(RLIMIT_CPU, &seconds);
    for (;;) continue;
  });
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU);
}

static void test_clocks(void) {
  struct timespec before, after;
  clock_gettime(CLOCK_MONOTONIC, &before);
  usleep(3000);
  clock_gettime(CLOCK_MONOTONIC, &after);
  long slept = (after.tv_sec - before.tv_sec) * 1000000000 + (after.tv_nsec - before.tv_nsec);
  CHECK(slept >= 3000000 && slept < 4000000);
  CHECK_FAILS(clock_gettime(99, &before), EINVAL);
  CHECK_FAILS(nanosleep(&(struct timespec){0, 1000000000}, NULL), EINVAL);
  CHECK_FAILS(nanosleep((void *)8, NULL), EFAULT);
}

static void test_names_and_priorities(void) {
  char name[17] = {0};
  prctl(PR_SET_NAME, "abcdefghijklmnopqrst");
  prctl(PR_GET_NAME, name);
  CHECK(strcmp(name, "abcdefghijklmno") == 0);
  CHECK(setpriority(PRIO_PROCESS, 0, 5) == 0 && getpriority(PRIO_PROCESS, 0) == 5);
  CHECK(sched_getscheduler(0) == SCHED_OTHER && sched_get_priority_max(SCHED_FIFO) == 99 && sched_yield() == 0);
}

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "executed") == 0) return executed(argc, argv);
  if (argc == 4 && strcmp(argv[1], "script") == 0) return strcmp(argv[2], "/tmp/script") == 0 && strcmp(argv[3], "one") == 0 ? 11 : 12;
  if (argc == 2 && strcmp(argv[1], "set-id") == 0) {
    return geteuid() == 0 && getuid() == 1000 && getauxval(AT_SECURE) == 1 ? 21 : geteuid() == 1000 ? 22 : 23;
  }
  test_kinds_of_fork();
  test_exec();
  test_set_id_programs();
  test_waiting();
  test_groups_and_sessions();
  test_limits();
  if (argc == 1) test_processor_limit();
  test_clocks();
  test_names_and_priorities();
  puts("done");
  return 0;
}
