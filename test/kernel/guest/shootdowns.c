// What threads on several harts see of each other's changes to their memory: nobody uses a page after the call that took it away has
// returned, nobody sees an old page after somebody saw the new one, and a child sees the memory of one moment.

#include "check.h"
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>

#define PAGE 4096
#define SPIN 4000

/** How often each thing is done, and to how many pages. */
static int rounds = 12, pages = 24;
static atomic_int stop, faults, wrong;
static atomic_int turn; // the page that is being looked at, times 4, plus how far that has come
static volatile uint32_t *volatile target;
static __thread sigjmp_buf back;

static volatile uint32_t *map(void *at) {
  return mmap(at, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | (at ? MAP_FIXED : 0), -1, 0);
}

/** Where there are as many harts as threads there is no need to call the kernel. */
static int is_alone;

static void give_way(void) {
  if (!is_alone) sched_yield();
}

static void spin(void) {
  for (volatile int i = 0; i < SPIN; i++) continue;
}

static void start(pthread_t *thread, void *(*work)(void *), long argument) {
  pthread_create(thread, NULL, work, (void *)argument);
}

static void on_fault(int signal) {
  faults++;
  siglongjmp(back, 1);
}

/** Writes to the page until it faults, over and over. */
static void *keep_writing(void *unused) {
  sigsetjmp(back, 1);
  while (!stop) {
    volatile uint32_t *at = target;
    if (at == NULL) continue;
    for (int i = 0; i < 100; i++) at[0] = 0xbad;
  }
  return NULL;
}

/** A page is unmapped while another thread writes to it, and its frame used again at once. */
static void unmapped_page(void) {
  pthread_t writer;
  stop = faults = wrong = 0;
  target = NULL;
  handle(SIGSEGV, on_fault, 0);
  start(&writer, keep_writing, 0);
  for (int round = 0; round < rounds; round++) {
    volatile uint32_t *page = map(NULL);
    page[0] = 0;
    target = page;
    while (page[0] != 0xbad) give_way();
    int before = faults;
    munmap((void *)page, PAGE);
    // The frame that has just been freed is the first to be used again.
    volatile uint32_t *next[4];
    for (int i = 0; i < 4; i++) (next[i] = map(NULL + (0x40000000 + i * 2 * PAGE)))[0] = 7;
    spin();
    for (int i = 0; i < 4; i++) {
      if (next[i][0] != 7) wrong++;
      munmap((void *)next[i], PAGE);
    }
    target = NULL;
    while (faults == before) give_way();
  }
  stop = 1;
  pthread_join(writer, NULL);
  CHECK(wrong == 0);
  CHECK(faults >= rounds);
}

/** A page moves while another thread writes to it: what was written after mremap has returned is not in the page. */
static void moved_page(void) {
  pthread_t writer;
  stop = faults = wrong = 0;
  target = NULL;
  handle(SIGSEGV, on_fault, 0);
  start(&writer, keep_writing, 0);
  volatile uint32_t *place = map(NULL);
  for (int round = 0; round < rounds; round++) {
    volatile uint32_t *page = map(NULL);
    page[0] = 0;
    target = page;
    while (page[0] != 0xbad) give_way();
    int before = faults;
    mremap((void *)page, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, place);
    place[0] = 5;
    spin();
    if (place[0] != 5) wrong++;
    target = NULL;
    while (faults == before) give_way();
  }
  stop = 1;
  pthread_join(writer, NULL);
  CHECK(wrong == 0);
  CHECK(faults >= rounds);
}

/** A page becomes read-only while another thread writes to it: it does not change after mprotect has returned. */
static void protected_page(void) {
  pthread_t writer;
  stop = faults = wrong = 0;
  target = NULL;
  handle(SIGSEGV, on_fault, 0);
  start(&writer, keep_writing, 0);
  for (int round = 0; round < rounds; round++) {
    volatile uint32_t *page = map(NULL);
    page[0] = page[1] = 0;
    target = page;
    while (page[0] != 0xbad) give_way();
    int before = faults;
    mprotect((void *)page, PAGE, PROT_READ);
    // Whoever may still write would do so between these.
    volatile uint32_t *alias = page;
    uint32_t first = alias[0];
    spin();
    if (alias[0] != first) wrong++;
    target = NULL;
    while (faults == before) give_way();
    munmap((void *)page, PAGE);
  }
  stop = 1;
  pthread_join(writer, NULL);
  CHECK(wrong == 0);
  CHECK(faults >= rounds);
}

static volatile uint32_t *shared; // pages that a child shares copy-on-write

/** Breaks the sharing of each page by a write to its second word. */
static void *breaker(void *unused) {
  for (int page = 0; page < pages; page++) {
    while (turn != page * 4 + 2) give_way();
    shared[page * (PAGE / 4) + 1] = 1;
    while (turn / 4 == page) give_way();
  }
  return NULL;
}

/** Writes to the first word as soon as it sees the second one changed. */
static void *follower(void *unused) {
  for (int page = 0; page < pages; page++) {
    volatile uint32_t *at = shared + page * (PAGE / 4);
    while (turn / 4 != page || at[1] == 0) continue;
    at[0] = 2;
    turn = page * 4 + 3;
    while (turn / 4 == page) give_way();
  }
  return NULL;
}

/** Reads the first word all the time; once the follower has said that it has written, the old value is wrong. */
static void *reader(void *unused) {
  for (int page = 0; page < pages; page++) {
    volatile uint32_t *at = shared + page * (PAGE / 4);
    uint32_t sum = at[0];
    turn = page * 4 + 2;
    for (;;) {
      int seen = turn;
      if (at[0] == 2 && seen == page * 4 + 2) continue;
      if (seen == page * 4 + 3) {
        if (at[0] != 2) wrong++;
        break;
      }
    }
    turn = (page + 1) * 4;
  }
  return NULL;
}

/** The three threads of a copy-on-write break: one breaks, one writes to the new page, one must not read the old one. */
static void copy_on_write(void) {
  int status, pipe_ends[2];
  char byte;
  wrong = turn = 0;
  shared = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  madvise((void *)shared, pages * PAGE, MADV_NOHUGEPAGE);
  for (int page = 0; page < pages; page++) shared[page * (PAGE / 4)] = 1;
  pipe(pipe_ends);
  pid_t child = fork();
  if (child == 0) {
    close(pipe_ends[1]);
    read(pipe_ends[0], &byte, 1);
    for (int page = 0; page < pages; page++)
      if (shared[page * (PAGE / 4)] != 1 || shared[page * (PAGE / 4) + 1] != 0) _exit(1);
    _exit(0);
  }
  pthread_t threads[3];
  start(&threads[0], breaker, 0);
  start(&threads[1], follower, 0);
  start(&threads[2], reader, 0);
  for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
  CHECK(wrong == 0);
  close(pipe_ends[1]);
  waitpid(child, &status, 0);
  CHECK(status == 0);
  munmap((void *)shared, pages * PAGE);
}

/** Counts on two pages in turn: the second is never ahead of the first, nor more than one behind. */
static void *count(void *unused) {
  volatile uint32_t *first = shared, *second = shared + PAGE / 4;
  while (!stop) {
    first[0]++;
    second[0] = first[0];
  }
  return NULL;
}

/** A fork while a sibling writes: the child has the memory of one moment, which does not change. */
static void forked_memory(void) {
  pthread_t counter;
  int status, bad = 0;
  stop = 0;
  shared = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  start(&counter, count, 0);
  while (shared[0] < 100) give_way();
  for (int round = 0; round < rounds; round++) {
    pid_t child = fork();
    if (child == 0) {
      uint32_t second = shared[PAGE / 4], first = shared[0];
      if (second > first || first > second + 1) _exit(1);
      spin();
      _exit(shared[0] == first && shared[PAGE / 4] == second ? 0 : 2);
    }
    waitpid(child, &status, 0);
    if (status != 0) bad++;
  }
  stop = 1;
  pthread_join(counter, NULL);
  CHECK(bad == 0);
  munmap((void *)shared, 2 * PAGE);
}

static void *spin_for_ever(void *unused) {
  while (!stop) continue;
  return NULL;
}

/** A thread that is held for a shootdown is ended, stopped, and executes another program. */
static void ends(void) {
  int status, killed = 0, stopped = 0, executed = 0;
  for (int round = 0; round < rounds; round++) {
    pid_t child = fork();
    if (child == 0) {
      pthread_t threads[2];
      stop = 0;
      for (int i = 0; i < 2; i++) start(&threads[i], spin_for_ever, 0);
      volatile uint32_t *page = map(NULL);
      for (int i = 0;; i++) {
        page[0] = i;
        mprotect((void *)page, PAGE, PROT_READ);
        mprotect((void *)page, PAGE, PROT_READ | PROT_WRITE);
        if (round % 3 == 2 && i == 20 + round) execl("/proc/self/exe", "shootdowns", "again", NULL);
      }
    }
    if (round % 3 == 2) {
      waitpid(child, &status, 0);
      if (WIFEXITED(status) && WEXITSTATUS(status) == 42) executed++;
      continue;
    }
    for (int i = 0; i < 3; i++) spin();
    if (round % 3 == 1) {
      kill(child, SIGSTOP);
      if (waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status)) stopped++;
      kill(child, SIGCONT);
      spin();
    }
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) killed++;
  }
  CHECK(killed == rounds / 3 * 2);
  CHECK(stopped == rounds / 3);
  CHECK(executed == rounds / 3);
}

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "again") == 0) return 42;
  static const struct { const char *name; void (*run)(void); } tests[] = {
      {"unmap", unmapped_page}, {"move", moved_page}, {"protect", protected_page},
      {"copy", copy_on_write},  {"fork", forked_memory}, {"ends", ends},
  };
  if (argc > 1 && strcmp(argv[1], "few") == 0) {
    rounds = 2, pages = 3, is_alone = 1;
    copy_on_write(), forked_memory(), unmapped_page();
    argv[1] = "none";
  }
  for (unsigned i = 0; i < sizeof tests / sizeof *tests; i++)
    if (argc < 2 || strcmp(argv[1], tests[i].name) == 0) tests[i].run();
  printf("done\n");
  return 0;
}
