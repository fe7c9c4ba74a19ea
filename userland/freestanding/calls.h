/* The system calls that generate-stubs.mjs makes stubs for. A failure is a negated errno. */

#ifndef CALLS_H
#define CALLS_H

typedef unsigned long size_t;
#define NULL ((void *)0)
#define SIGCHLD 17

long write(int fd, const void *data, size_t length);
_Noreturn void exit(int status);
/* The last two arguments swap between architectures (clone(2), "C library/kernel differences"); zero serves both. */
long clone(unsigned long flags, void *stack, void *parent_tid, unsigned long zero4, unsigned long zero5);
long wait4(int pid, int *status, int options, void *usage);
long getpid(void);

#endif
