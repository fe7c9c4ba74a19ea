// Eight threads that do at random what kernels get wrong together: map and unmap, fork, die, sleep, yield, change harts, signal each
// other, drop shared pages. Every thread must get on, and the process must end whole.

#include "check.h"
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <time.h>

enum { THREADS = 8, ARENA = 1 << 20, STORM_NS = 20000000 };

static volatile int over;
static long rounds[THREADS];
static char *arena;

static void ignore(int signal) {}

static void map_and_unmap(unsigned random) {
  char *pages = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  pages[random % 65536] = 1;
  mprotect(pages, 4096, PROT_READ);
  munmap(pages, 65536);
}

static void change_hart(unsigned random) {
  cpu_set_t some;
  CPU_ZERO(&some);
  CPU_SET((random >> 5) % 4, &some);
  CPU_SET((random >> 7) % 4, &some);
  sched_setaffinity(0, sizeof some, &some);
}

static void fork_once(unsigned random) {
  int status;
  pid_t child = fork();
  if (child == 0) {
    arena[5]++;
    if (random & 64) raise(SIGKILL);
    _exit(0);
  }
  waitpid(child, &status, 0);
}

static void *rage(void *number) {
  long me = (long)number;
  unsigned random = me * 77 + 1;
  while (!over) {
    random = random * 1103515245 + 12345;
    switch ((random >> 16) % 8) {
      case 0: sched_yield(); break;
      case 1: usleep(random % 300); break;
      case 2: map_and_unmap(random); break;
      case 3: arena[(random >> 3) % ARENA]++; break;
      case 4: change_hart(random); break;
      case 5: fork_once(random); break;
      case 6: kill(getpid(), SIGUSR1); break;
      case 7: madvise(arena, ARENA, MADV_DONTNEED); break;
    }
    rounds[me]++;
  }
  return NULL;
}

static long now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000 + time.tv_nsec;
}

int main(void) {
  pthread_t threads[THREADS];
  int status;
  handle(SIGUSR1, ignore, SA_RESTART);
  arena = mmap(NULL, ARENA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  long end = now() + STORM_NS;
  for (long i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, rage, (void *)i);
  while (now() < end) usleep(1000);
  over = 1;
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  for (int i = 0; i < THREADS; i++) CHECK(rounds[i] > 100);
  IN_CHILD(status, {
    over = 0;
    for (long i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, rage, (void *)i);
    for (long soon = now() + STORM_NS / 10; now() < soon;) usleep(100);
    exit(3);
  });
  CHECK(WEXITSTATUS(status) == 3); // the others end wherever they are
  puts("done");
  return 0;
}
