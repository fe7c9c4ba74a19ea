// What the guest programs of these tests share: a check that prints its own line, and a short way to set a handler.

#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/** Prints one TAP-like line; the name is the condition itself. */
#define CHECK(condition) \
  do { \
    printf("%s %s:%d %s\n", (condition) ? "ok" : "not ok", __FILE_NAME__, __LINE__, #condition); \
    fflush(stdout); \
  } while (0)

/** The call fails with this errno. */
#define CHECK_FAILS(call, error) CHECK((errno = 0, (call) == -1 && errno == (error)))

#ifndef __FILE_NAME__
#define __FILE_NAME__ "guest"
#endif

typedef void (*info_handler)(int, siginfo_t *, void *);

static inline void handle(int signal, void (*handler)(int), int flags) {
  struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
  sigaction(signal, &action, NULL);
}

static inline void handle_info(int signal, info_handler handler, int flags) {
  struct sigaction action = {.sa_sigaction = handler, .sa_flags = flags | SA_SIGINFO};
  sigaction(signal, &action, NULL);
}

/** Runs the statements in a child, which ends with 0 unless they end it otherwise, and stores the wait status in `status`. */
#define IN_CHILD(status, ...) \
  do { \
    pid_t child_ = fork(); \
    if (child_ == 0) { \
      __VA_ARGS__; \
      _exit(0); \
    } \
    waitpid(child_, &(status), 0); \
  } while (0)

/** An instruction that no processor has, one that stops for a debugger, and what Linux says of that. */
#ifdef __x86_64__
#define ILLEGAL "ud2"
#define BREAKPOINT "int3"
#define BREAKPOINT_CODE SI_KERNEL
#else
#define ILLEGAL ".word 0"
#define BREAKPOINT "ebreak"
#define BREAKPOINT_CODE TRAP_BRKPT
#endif
