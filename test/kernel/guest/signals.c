// Signals from the program's side: delivery, masks, queues, interrupted calls, faults, job control. signal(7).

#include "check.h"
#include <poll.h>
#include <setjmp.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

static volatile int count, last;
static volatile siginfo_t info;
static volatile long stack_seen;
static sigjmp_buf escape;
static int order[32], order_length;

static void note(int signal) {
  count++;
  last = signal;
}

static void note_info(int signal, siginfo_t *given, void *context) {
  int local;
  count++;
  last = signal;
  info = *given;
  stack_seen = (long)&local;
}

static void note_order(int signal, siginfo_t *given, void *context) {
  order[order_length++] = (signal - SIGRTMIN) * 10 + given->si_value.sival_int;
}

static void leave(int signal, siginfo_t *given, void *context) {
  info = *given;
  siglongjmp(escape, signal);
}

static void test_delivery_and_masks(void) {
  sigset_t set, old, pending;
  handle(SIGUSR1, note, 0);
  raise(SIGUSR1);
  CHECK(count == 1 && last == SIGUSR1);

  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigprocmask(SIG_BLOCK, &set, &old);
  count = 0;
  kill(getpid(), SIGUSR1);
  kill(getpid(), SIGUSR1);
  CHECK(count == 0);
  sigpending(&pending);
  CHECK(sigismember(&pending, SIGUSR1));
  sigprocmask(SIG_SETMASK, &old, NULL);
  CHECK(count == 1); // a standard signal is pending once
}

static void test_real_time_order(void) {
  sigset_t set, old;
  for (int i = 0; i < 3; i++) handle_info(SIGRTMIN + i, note_order, 0);
  sigfillset(&set);
  sigprocmask(SIG_BLOCK, &set, &old);
  for (int value = 0; value < 2; value++) {
    for (int i = 2; i >= 0; i--) sigqueue(getpid(), SIGRTMIN + i, (union sigval){.sival_int = value});
  }
  sigprocmask(SIG_SETMASK, &old, NULL);
  CHECK(order_length == 6);
  // The handlers nest: the frame built last, for the highest signal, runs first; equal signals keep their order.
  int sorted = 1;
  for (int i = 0; i < 3; i++) sorted &= order[i] % 10 <= 1;
  CHECK(sorted);
}

static void test_interrupted_calls(void) {
  int pipes[2], status;
  char byte = 0;
  pipe(pipes);
  handle(SIGALRM, note, 0);
  ualarm(1000, 0);
  CHECK_FAILS(read(pipes[0], &byte, 1), EINTR);

  handle(SIGALRM, note, SA_RESTART);
  pid_t child = fork();
  if (child == 0) {
    usleep(5000);
    write(pipes[1], "x", 1);
    _exit(0);
  }
  ualarm(1000, 0);
  CHECK(read(pipes[0], &byte, 1) == 1 && byte == 'x');
  waitpid(child, &status, 0);

  struct timespec wanted = {10, 0}, left = {0, 0};
  ualarm(2000, 0);
  CHECK_FAILS(nanosleep(&wanted, &left), EINTR); // a sleep is never restarted
  CHECK(left.tv_sec == 9 && left.tv_nsec > 990000000);

  close(pipes[0]);
  signal(SIGPIPE, SIG_IGN);
  CHECK_FAILS(write(pipes[1], "x", 1), EPIPE);
  signal(SIGPIPE, SIG_DFL);
  IN_CHILD(status, write(pipes[1], "x", 1));
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE);
  close(pipes[1]);
}

static void test_waiting_for_signals(void) {
  sigset_t set, old, now;
  siginfo_t taken;
  int status;
  handle(SIGUSR2, note, 0);
  sigemptyset(&set);
  sigaddset(&set, SIGUSR2);
  sigprocmask(SIG_BLOCK, &set, &old);

  count = 0;
  kill(getpid(), SIGUSR2);
  CHECK_FAILS(sigsuspend(&old), EINTR);
  CHECK(count == 1);

  count = 0;
  kill(getpid(), SIGUSR2);
  CHECK_FAILS(ppoll(NULL, 0, NULL, &old), EINTR);
  CHECK(count == 1);
  sigprocmask(SIG_SETMASK, NULL, &now);
  CHECK(sigismember(&now, SIGUSR2)); // the mask from before the call is back

  struct timespec soon = {0, 1000000};
  CHECK_FAILS(sigtimedwait(&set, &taken, &soon), EAGAIN);
  pid_t child = fork();
  if (child == 0) {
    usleep(1000);
    kill(getppid(), SIGUSR2);
    _exit(0);
  }
  CHECK(sigwaitinfo(&set, &taken) == SIGUSR2 && taken.si_pid == child && taken.si_code == SI_USER);
  waitpid(child, &status, 0);
  sigprocmask(SIG_SETMASK, &old, NULL);
}

static void test_faults(void) {
  int status;
  handle_info(SIGSEGV, leave, 0);
  handle_info(SIGILL, leave, 0);
  handle_info(SIGTRAP, leave, 0);
  if (sigsetjmp(escape, 1) == 0) *(volatile int *)0x1234 = 1;
  CHECK(info.si_signo == SIGSEGV && info.si_code == SEGV_MAPERR && info.si_addr == (void *)0x1234);
  char *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (sigsetjmp(escape, 1) == 0) *page = 1;
  CHECK(info.si_signo == SIGSEGV && info.si_code == SEGV_ACCERR && info.si_addr == page);
  if (sigsetjmp(escape, 1) == 0) __asm__ volatile(ILLEGAL);
  CHECK(info.si_signo == SIGILL);
  if (sigsetjmp(escape, 1) == 0) __asm__ volatile(BREAKPOINT);
  CHECK(info.si_signo == SIGTRAP && info.si_code == BREAKPOINT_CODE);
#ifdef __x86_64__
  handle_info(SIGFPE, leave, 0);
  static volatile int zero;
  if (sigsetjmp(escape, 1) == 0) zero = 7 / zero;
  CHECK(info.si_signo == SIGFPE && info.si_code == FPE_INTDIV);
  if (sigsetjmp(escape, 1) == 0) __asm__ volatile("hlt");
  CHECK(info.si_signo == SIGSEGV && info.si_code == SI_KERNEL && info.si_addr == NULL);
#endif
  static const unsigned long nowhere[] = {0,          0x8000000000000000, ~0ul,          0x3ffffff000,
                                          0x4000000000, 0xffffffc000000000, 0x7fffffffe000};
  for (unsigned i = 0; i < sizeof nowhere / sizeof *nowhere; i++) {
    info.si_signo = 0;
    if (sigsetjmp(escape, 1) == 0) ((void (*)(void))nowhere[i])();
    CHECK(info.si_signo == SIGSEGV);
  }
  // A fault that cannot be handled kills, rather than repeat for ever.
  IN_CHILD(status, {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    *(volatile int *)8 = 1;
  });
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
  IN_CHILD(status, {
    signal(SIGABRT, SIG_IGN);
    abort();
  });
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void test_handler_flags(void) {
  struct sigaction now;
  stack_t stack = {.ss_sp = malloc(65536), .ss_size = 65536};
  sigaltstack(&stack, NULL);
  handle_info(SIGUSR1, note_info, SA_ONSTACK);
  raise(SIGUSR1);
  CHECK(stack_seen > (long)stack.ss_sp && stack_seen < (long)stack.ss_sp + 65536);
  stack.ss_size = 100;
  CHECK_FAILS(sigaltstack(&stack, NULL), ENOMEM);

  handle(SIGUSR1, note, SA_RESETHAND);
  raise(SIGUSR1);
  sigaction(SIGUSR1, NULL, &now);
  CHECK(now.sa_handler == SIG_DFL);
  CHECK_FAILS(sigaction(SIGKILL, &now, NULL), EINVAL);

  // The handler's own use of floating point is not seen by what it interrupts.
  double sum = 0;
  handle(SIGALRM, note, 0);
  ualarm(500, 500);
  for (int i = 0; i < 1000000; i++) sum += 1.5;
  ualarm(0, 0);
  CHECK(sum == 1500000.0);
}

static void test_stop_and_continue(void) {
  int status;
  siginfo_t change = {0};
  pid_t child = fork();
  if (child == 0) {
    for (;;) pause();
  }
  kill(child, SIGSTOP);
  CHECK(waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
  CHECK(waitpid(child, &status, WNOHANG | WUNTRACED) == 0);
  kill(child, SIGCONT);
  CHECK(waitpid(child, &status, WCONTINUED) == child && WIFCONTINUED(status));
  kill(child, SIGSTOP);
  waitid(P_PID, child, &change, WSTOPPED);
  CHECK(change.si_code == CLD_STOPPED && change.si_status == SIGSTOP);
  kill(child, SIGKILL); // reaches even a stopped process
  waitid(P_PID, child, &change, WEXITED | WNOWAIT);
  CHECK(change.si_code == CLD_KILLED && change.si_status == SIGKILL);
  CHECK(waitpid(child, &status, 0) == child && WTERMSIG(status) == SIGKILL);
  CHECK_FAILS(waitpid(child, &status, 0), ECHILD);

  child = fork();
  if (child == 0) {
    setpgid(0, 0);
    for (;;) pause();
  }
  setpgid(child, child);
  kill(-child, SIGTERM);
  CHECK(waitpid(-child, &status, 0) == child && WTERMSIG(status) == SIGTERM);
}

static void test_children_and_permissions(void) {
  int status;
  handle_info(SIGCHLD, note_info, 0);
  count = 0;
  pid_t child = fork();
  if (child == 0) _exit(42);
  while (count == 0) pause();
  CHECK(info.si_code == CLD_EXITED && info.si_status == 42 && info.si_pid == child);
  CHECK(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 42);
  signal(SIGCHLD, SIG_IGN);
  child = fork();
  if (child == 0) _exit(0);
  CHECK_FAILS(waitpid(child, &status, 0), ECHILD); // ignoring SIGCHLD leaves no zombie
  signal(SIGCHLD, SIG_DFL);

  CHECK(kill(getpid(), 0) == 0);
  CHECK_FAILS(kill(32000, 0), ESRCH);
  CHECK_FAILS(kill(getpid(), 65), EINVAL);
  IN_CHILD(status, {
    if (setuid(1000) != 0 || kill(getppid(), SIGTERM) != -1 || errno != EPERM) _exit(1);
  });
  CHECK(status == 0);
}

static void test_timers(void) {
  struct itimerval period = {{0, 1000}, {0, 1000}}, off = {0};
  handle(SIGALRM, note, 0);
  count = 0;
  setitimer(ITIMER_REAL, &period, NULL);
  while (count < 5) pause();
  setitimer(ITIMER_REAL, &off, NULL);
  CHECK(count == 5);

  handle(SIGVTALRM, note, 0);
  count = 0;
  setitimer(ITIMER_VIRTUAL, &period, NULL);
  while (count < 3) continue;
  setitimer(ITIMER_VIRTUAL, &off, NULL);
  CHECK(last == SIGVTALRM);

  timer_t timer;
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 5, .sigev_value.sival_int = 77};
  struct itimerspec soon = {{0, 0}, {0, 1000000}};
  handle_info(SIGRTMIN + 5, note_info, 0);
  count = 0;
  CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
  timer_settime(timer, 0, &soon, NULL);
  while (count == 0) pause();
  CHECK(info.si_code == SI_TIMER && info.si_value.sival_int == 77);
  CHECK(timer_delete(timer) == 0);
}

int main(void) {
  test_delivery_and_masks();
  test_real_time_order();
  test_interrupted_calls();
  test_waiting_for_signals();
  test_faults();
  test_handler_flags();
  test_stop_and_continue();
  test_children_and_permissions();
  test_timers();
  puts("done");
  return 0;
}
