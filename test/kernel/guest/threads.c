// Threads from the program's side: clone's sharing, futexes through the C library, signals and exec among threads.

#include "check.h"
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static long total;
static int turn;
static __thread long own;
static volatile pthread_t receiver;

static void *count_up(void *unused) {
  for (int i = 0; i < 2000; i++) {
    pthread_mutex_lock(&mutex);
    total++;
    own++;
    pthread_mutex_unlock(&mutex);
  }
  return (void *)own;
}

static void *take_turns(void *mine) {
  for (int i = 0; i < 50; i++) {
    pthread_mutex_lock(&mutex);
    while (turn != (int)(long)mine) pthread_cond_wait(&changed, &mutex);
    turn = !turn;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
  }
  return NULL;
}

static void *meet(void *unused) {
  for (int i = 0; i < 10; i++) pthread_barrier_wait(&barrier);
  return NULL;
}

static void *sleep_long(void *unused) {
  sleep(1000);
  return NULL;
}

static void *sleep_for_ever(void *unused) {
  for (;;) sleep(1000);
}

static void *execute(void *unused) {
  char *arguments[] = {"threads", "again", NULL};
  execv("/proc/self/exe", arguments);
  exit(1);
}

static void note_receiver(int signal) { receiver = pthread_self(); }

static void test_mutual_exclusion(void) {
  pthread_t threads[8];
  long sum = 0;
  void *result;
  for (int i = 0; i < 8; i++) pthread_create(&threads[i], NULL, count_up, NULL);
  for (int i = 0; i < 8; i++) {
    pthread_join(threads[i], &result);
    sum += (long)result;
  }
  CHECK(total == 16000 && sum == 16000);
  for (long i = 0; i < 2; i++) pthread_create(&threads[i], NULL, take_turns, (void *)i);
  for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
  CHECK(turn == 0);
  pthread_barrier_init(&barrier, NULL, 4);
  for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, meet, NULL);
  for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
  CHECK("barrier");
}

static void test_signals_and_cancellation(void) {
  pthread_t thread;
  void *result;
  handle(SIGUSR1, note_receiver, 0);
  pthread_create(&thread, NULL, sleep_long, NULL);
  usleep(1000);
  pthread_kill(thread, SIGUSR1);
  pthread_join(thread, NULL);
  CHECK(pthread_equal(receiver, thread));
  pthread_create(&thread, NULL, sleep_for_ever, NULL);
  usleep(1000);
  pthread_cancel(thread);
  pthread_join(thread, &result);
  CHECK(result == PTHREAD_CANCELED);
}

static void test_timeouts(void) {
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_nsec += 2000000;
  if (until.tv_nsec >= 1000000000) {
    until.tv_sec++;
    until.tv_nsec -= 1000000000;
  }
  pthread_mutex_lock(&mutex);
  CHECK(pthread_cond_timedwait(&changed, &mutex, &until) == ETIMEDOUT);
  pthread_mutex_unlock(&mutex);
}

static void test_sharing_between_processes(void) {
  int status;
  sem_t *semaphore = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  sem_init(semaphore, 1, 0);
  pid_t child = fork();
  if (child == 0) {
    usleep(1000);
    sem_post(semaphore);
    _exit(0);
  }
  CHECK(sem_wait(semaphore) == 0);
  waitpid(child, &status, 0);

  // A robust mutex whose owner has died says so.
  pthread_mutexattr_t attributes;
  pthread_mutex_t *robust = (pthread_mutex_t *)(semaphore + 4);
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  pthread_mutex_init(robust, &attributes);
  IN_CHILD(status, pthread_mutex_lock(robust));
  CHECK(pthread_mutex_lock(robust) == EOWNERDEAD);
}

static void test_affinity(void) {
  cpu_set_t all, one;
  CHECK(sched_getaffinity(0, sizeof all, &all) == 0 && CPU_COUNT(&all) >= 1);
  for (int hart = 0; hart < CPU_COUNT(&all); hart++) {
    CPU_ZERO(&one);
    CPU_SET(hart, &one);
    CHECK(sched_setaffinity(0, sizeof one, &one) == 0 && sched_getcpu() == hart);
  }
  CPU_ZERO(&one);
  CPU_SET(60, &one);
  CHECK_FAILS(sched_setaffinity(0, sizeof one, &one), EINVAL);
  sched_setaffinity(0, sizeof all, &all);
}

static void test_process_wide_events(void) {
  int status;
  pthread_t thread;
  IN_CHILD(status, {
    pthread_create(&thread, NULL, sleep_for_ever, NULL);
    pthread_create(&thread, NULL, execute, NULL);
    for (;;) pause();
  });
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 5); // execve of one thread ends the others
  IN_CHILD(status, {
    pthread_create(&thread, NULL, sleep_for_ever, NULL);
    *(volatile int *)16 = 1;
  });
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
  IN_CHILD(status, {
    pthread_create(&thread, NULL, sleep_for_ever, NULL);
    exit(9);
  });
  CHECK(WEXITSTATUS(status) == 9);
}

int main(int argc, char **argv) {
  if (argc > 1) return syscall(SYS_gettid) == getpid() ? 5 : 6;
  test_mutual_exclusion();
  test_signals_and_cancellation();
  test_timeouts();
  test_sharing_between_processes();
  test_affinity();
  test_process_wide_events();
  puts("done");
  return 0;
}
