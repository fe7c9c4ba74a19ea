// What x86-64 programs can do to the trap path, well-behaved or not: exceptions and what siginfo says of them, signal frames, corrupted
// ones, stacks that are no address, single-stepping, segments. Linux on a real processor gives the same; only the checks that the
// running kernel may have switched off (int 0x80, vsyscall) are asked for by an argument.

#include "check.h"
#include <asm/prctl.h>
#include <fenv.h>
#include <sched.h>
#include <setjmp.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>

static sigjmp_buf escape;
static volatile siginfo_t info;
static volatile greg_t frame_trap, frame_error, frame_cr2, frame_ip;

static void leave(int signal, siginfo_t *given, void *context) {
  ucontext_t *at = context;
  // Alignment checks stay on in a handler.
  __asm__ volatile("pushfq; andl $~0x40000, (%rsp); popfq");
  info = *given;
  frame_trap = at->uc_mcontext.gregs[REG_TRAPNO];
  frame_error = at->uc_mcontext.gregs[REG_ERR];
  frame_cr2 = at->uc_mcontext.gregs[REG_CR2];
  frame_ip = at->uc_mcontext.gregs[REG_RIP];
  siglongjmp(escape, 1);
}

static const int FAULTS[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};
static char alternate[65536];

static void catch_faults(void) {
  stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
  sigaltstack(&stack, NULL);
  for (int i = 0; i < 5; i++) handle_info(FAULTS[i], leave, SA_ONSTACK | SA_NODEFER);
}

static void let_faults_kill(void) {
  for (int i = 0; i < 5; i++) handle(FAULTS[i], SIG_DFL, 0);
}

/** The instructions raise this exception as this signal with this code. */
#define RAISES(vector, signal, code, ...) \
  do { \
    info.si_signo = 0; \
    if (sigsetjmp(escape, 1) == 0) { \
      __VA_ARGS__; \
    } \
    CHECK(info.si_signo == signal && info.si_code == code && frame_trap == vector); \
    if (info.si_signo != signal || info.si_code != code || frame_trap != vector) \
      printf("# " #__VA_ARGS__ ": signal %d code %d vector %d\n", info.si_signo, info.si_code, (int)frame_trap); \
  } while (0)
#define ASM(text) __asm__ volatile(text ::: "memory", "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "cc")

static void test_exceptions(void) {
  RAISES(0, SIGFPE, FPE_INTDIV, ASM("xor %%edx, %%edx; xor %%ecx, %%ecx; mov $1, %%eax; div %%ecx"));
  RAISES(0, SIGFPE, FPE_INTDIV, ASM("mov $0x8000000000000000, %%rax; cqo; mov $-1, %%rcx; idiv %%rcx"));
  CHECK((greg_t)info.si_addr == frame_ip);
  RAISES(1, SIGTRAP, TRAP_TRACE, ASM("pushfq; orl $0x100, (%%rsp); popfq; nop; nop"));
  RAISES(3, SIGTRAP, SI_KERNEL, ASM("int3"));
  RAISES(4, SIGSEGV, SI_KERNEL, ASM("int $4"));
  RAISES(6, SIGILL, ILL_ILLOPN, ASM("ud2"));
  CHECK((greg_t)info.si_addr == frame_ip);
  RAISES(6, SIGILL, ILL_ILLOPN, ASM(".byte 0x0f, 0x04, 0x00"));
  RAISES(6, SIGILL, ILL_ILLOPN, ASM(".byte 0xf0, 0x48, 0x01, 0xc0"));
  RAISES(12, SIGBUS, SI_KERNEL, ASM("mov %%rsp, %%r8; mov $0x8000000000000000, %%rsp; push %%rax"));
  RAISES(12, SIGBUS, SI_KERNEL, ASM("mov %%rbp, %%r8; mov $0x0000800000000000, %%rbp; mov (%%rbp), %%rax"));
}

static void test_protection(void) {
  RAISES(13, SIGSEGV, SI_KERNEL, ASM("mov $0x8000000000000000, %%rax; mov (%%rax), %%rax"));
  CHECK(info.si_addr == NULL);
  RAISES(13, SIGSEGV, SI_KERNEL, ASM("mov $0x0000800000000000, %%rax; jmp *%%rax"));
  RAISES(13, SIGSEGV, SI_KERNEL, ASM("hlt"));
  RAISES(13, SIGSEGV, SI_KERNEL, ASM("cli"));
  RAISES(13, SIGSEGV, SI_KERNEL, ASM("sti"));
  RAISES(13, SIGSEGV, SI_KERNEL, ASM("mov %%cr0, %%rax"));
  RAISES(13, SIGSEGV, SI_KERNEL, ASM("xor %%eax, %%eax; mov %%rax, %%cr3"));
  RAISES(13, SIGSEGV, SI_KERNEL, ASM("xor %%eax, %%eax; mov %%rax, %%dr7"));
  RAISES(13, SIGSEGV, SI_KERNEL, ASM("mov $0xc0000082, %%ecx; xor %%eax, %%eax; xor %%edx, %%edx; wrmsr"));
  RAISES(13, SIGSEGV, SI_KERNEL, ASM("mov $0xc0000080, %%ecx; rdmsr"));
  RAISES(13, SIGSEGV, SI_KERNEL, ASM("sub $16, %%rsp; lgdt (%%rsp)"));
  RAISES(13, SIGSEGV, SI_KERNEL, ASM("sub $16, %%rsp; lidt (%%rsp)"));
  RAISES(13, SIGSEGV, SI_KERNEL, ASM("xor %%eax, %%eax; ltr %%ax"));
  RAISES(13, SIGSEGV, SI_KERNEL, ASM("xor %%eax, %%eax; lldt %%ax"));
  RAISES(13, SIGSEGV, SI_KERNEL, ASM("invlpg (%%rsp)"));
  RAISES(13, SIGSEGV, SI_KERNEL, ASM("wbinvd"));
  RAISES(13, SIGSEGV, SI_KERNEL, ASM("clts"));
  RAISES(13, SIGSEGV, SI_KERNEL, ASM("swapgs"));
  RAISES(13, SIGSEGV, SI_KERNEL, ASM("sysretq"));
  RAISES(13, SIGSEGV, SI_KERNEL, ASM("in $0x80, %%al"));
  RAISES(13, SIGSEGV, SI_KERNEL, ASM("mov $0x3f8, %%edx; mov $65, %%al; out %%al, %%dx"));
  RAISES(13, SIGSEGV, SI_KERNEL, ASM("mov $0x10, %%eax; mov %%ax, %%ss"));
  RAISES(13, SIGSEGV, SI_KERNEL, ASM("mov $0x18, %%eax; mov %%ax, %%ds"));
  RAISES(13, SIGSEGV, SI_KERNEL, ASM("push $0x10; lea 1f(%%rip), %%rax; push %%rax; lretq; 1: nop"));
  RAISES(13, SIGSEGV, SI_KERNEL, ASM("int $14"));
  CHECK(frame_error == 14 * 8 + 2);
  RAISES(13, SIGSEGV, SI_KERNEL, ASM("int $8"));
  RAISES(13, SIGSEGV, SI_KERNEL, ASM("int $2"));
  RAISES(13, SIGSEGV, SI_KERNEL, ASM("int $0x50"));
  RAISES(13, SIGSEGV, SI_KERNEL, ASM("int $0xff"));
}

static void test_alignment(void) {
  RAISES(17, SIGBUS, BUS_ADRALN,
         ASM("sub $64, %%rsp; pushfq; orl $0x40000, (%%rsp); popfq; movl $1, 1(%%rsp); pushfq; andl $~0x40000, (%%rsp); popfq"));
  ASM("pushfq; andl $~0x40000, (%%rsp); popfq");
}

static void test_page_faults(void) {
  char *page = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  RAISES(14, SIGSEGV, SEGV_ACCERR, *(volatile char *)page = 1);
  CHECK(info.si_addr == page && frame_cr2 == (greg_t)page && (frame_error & ~1) == 6);
  RAISES(14, SIGSEGV, SEGV_ACCERR, ((void (*)(void))page)());
  CHECK((frame_error & 0x16) == 0x14 && frame_ip == (greg_t)page);
  munmap(page, 8192);
  RAISES(14, SIGSEGV, SEGV_MAPERR, (void)*(volatile char *)page);
  CHECK(info.si_addr == page && frame_error == 4);
  RAISES(14, SIGSEGV, SEGV_MAPERR, (void)*(volatile char *)0xffffffc000000000);
  RAISES(14, SIGSEGV, SEGV_MAPERR, (void)*(volatile char *)-1);
  for (uintptr_t at = 0x7fffffffe000; at > 0x7ffffffef000; at -= 4096) {
    info.si_signo = 0;
    if (sigsetjmp(escape, 1) == 0) (void)*(volatile char *)at;
    if (info.si_signo != SIGSEGV) printf("not ok the kernel's page at %lx can be read\n", at);
  }
}

static void unmask_x87(unsigned short mask) {
  unsigned short word = 0x37f & ~mask;
  __asm__ volatile("fninit; fldcw %0" ::"m"(word));
}

static void unmask_sse(unsigned mask) {
  unsigned word = 0x1f80 & ~(mask << 7);
  __asm__ volatile("ldmxcsr %0" ::"m"(word));
}

static void test_floating_point(void) {
  double zero = 0, one = 1, tiny = 1e-308, huge = 1e308, out;
  RAISES(16, SIGFPE, FPE_FLTDIV, unmask_x87(4); __asm__ volatile("fld1; fldz; fdivrp; fwait" ::: "memory"));
  RAISES(16, SIGFPE, FPE_FLTINV, unmask_x87(1); __asm__ volatile("fldz; fldz; fdivrp; fwait" ::: "memory"));
  RAISES(16, SIGFPE, FPE_FLTRES,
         unmask_x87(32); __asm__ volatile("fld1; fldpi; fdivrp; fwait" ::: "memory"));
  __asm__ volatile("fninit");
  RAISES(19, SIGFPE, FPE_FLTDIV, unmask_sse(4); __asm__ volatile("divsd %1, %0" : "+x"(one) : "x"(zero)));
  RAISES(19, SIGFPE, FPE_FLTINV, unmask_sse(1); __asm__ volatile("divsd %1, %0" : "+x"(zero) : "x"(zero)));
  RAISES(19, SIGFPE, FPE_FLTOVF, unmask_sse(8); __asm__ volatile("mulsd %1, %0" : "+x"(huge) : "x"(huge)));
  tiny = 1e-308, one = 1e10;
  RAISES(19, SIGFPE, FPE_FLTUND, unmask_sse(16); __asm__ volatile("divsd %1, %0" : "+x"(tiny) : "x"(one)));
  unmask_sse(0);
}

// --- Signal frames -------------------------------------------------------------------------------------------------

static volatile uintptr_t seen_sp;
static volatile unsigned seen_mxcsr;
static volatile unsigned short seen_control;
static volatile unsigned long seen_flags;
static int frame_change;

static void look(int signal, siginfo_t *given, void *context) {
  ucontext_t *at = context;
  unsigned mxcsr;
  unsigned short control;
  unsigned long flags;
  seen_sp = (uintptr_t)__builtin_frame_address(0);
  __asm__ volatile("stmxcsr %0; fnstcw %1; pushfq; pop %2" : "=m"(mxcsr), "=m"(control), "=r"(flags));
  seen_mxcsr = mxcsr;
  seen_control = control;
  seen_flags = flags;
  __asm__ volatile("pxor %xmm0, %xmm0; fninit; fldpi");
  if (frame_change == 1) at->uc_mcontext.gregs[REG_RBX] = 4711;
  if (frame_change == 2) at->uc_mcontext.fpregs->_xmm[7].element[0] = 815;
}

static void test_frames(void) {
  handle_info(SIGUSR1, look, 0);
  // A leaf function's red zone, all registers and the floating-point state survive; the handler begins with fresh state.
  unsigned long below = 0, rbx = 0, xmm = 0;
  long double top = 0;
  frame_change = 0;
  __asm__ volatile(
      "fninit; fld1; mov $0x1122334455667788, %%rbx; movq %%rbx, %%xmm7; movq %%rbx, -0x78(%%rsp);"
      "mov %4, %%rdi; mov %5, %%esi; mov $62, %%eax; std; syscall; cld;"
      "mov -0x78(%%rsp), %0; mov %%rbx, %1; movq %%xmm7, %2; fstpt %3"
      : "=&r"(below), "=&r"(rbx), "=&r"(xmm), "=m"(top)
      : "r"((long)getpid()), "i"(SIGUSR1)
      : "rax", "rbx", "rcx", "rdi", "rsi", "r11", "xmm7", "memory");
  CHECK(below == 0x1122334455667788 && rbx == below && xmm == below && top == 1.0L);
  if (seen_control != 0x37f) printf("# mxcsr %x control %x\n", seen_mxcsr, seen_control);
  CHECK(seen_mxcsr == 0x1f80 && seen_control == 0x37f);
  CHECK((seen_flags & 0x400) == 0);
  CHECK(seen_sp % 16 == 0);
  // What the handler changes in the frame is taken over.
  frame_change = 1;
  __asm__ volatile("xor %%ebx, %%ebx; mov %1, %%rdi; mov %2, %%esi; mov $62, %%eax; syscall; mov %%rbx, %0"
                   : "=r"(rbx)
                   : "r"((long)getpid()), "i"(SIGUSR1)
                   : "rax", "rbx", "rcx", "rdi", "rsi", "r11", "memory");
  CHECK(rbx == 4711);
  frame_change = 2;
  __asm__ volatile("mov %1, %%rdi; mov %2, %%esi; mov $62, %%eax; syscall; movd %%xmm7, %%eax; mov %%rax, %0"
                   : "=r"(xmm)
                   : "r"((long)getpid()), "i"(SIGUSR1)
                   : "rax", "rcx", "rdi", "rsi", "r11", "xmm7", "memory");
  CHECK(xmm == 815);
  frame_change = 0;
}

static int damage;

static void corrupt(int signal, siginfo_t *given, void *context) {
  ucontext_t *at = context;
  greg_t *registers = at->uc_mcontext.gregs;
  switch (damage) {
    case 0: registers[REG_RIP] = 0x800000000000; break;
    case 1: registers[REG_RIP] = -0x800000000001; break;
    case 2: registers[REG_CSGSFS] = (registers[REG_CSGSFS] & ~0xffffl) | 0x10; break;
    case 3: registers[REG_CSGSFS] = (registers[REG_CSGSFS] & ~0xffffl) | 0x18; break;
    case 4: registers[REG_CSGSFS] = (registers[REG_CSGSFS] & 0x0000ffffffffffff) | 0x18l << 48; break;
    case 5: at->uc_mcontext.fpregs->mxcsr = 0xffff0000; break;
    case 6: at->uc_mcontext.fpregs = (void *)((char *)at->uc_mcontext.fpregs + 4); break;
    case 7: at->uc_mcontext.fpregs = (void *)0xffffffc000000000; break;
    case 8: at->uc_mcontext.fpregs = (void *)0x8000000000000000; break;
    case 9: registers[REG_RSP] = 0; registers[REG_RIP] = 0xffffffc000009000; break;
    case 10: registers[REG_RIP] = 0x7fffffffe000; break;
    case 11: __asm__ volatile("mov $0x8000000000000008, %rsp; mov $15, %eax; syscall"); break;
    case 12: __asm__ volatile("mov $8, %esp; mov $15, %eax; syscall"); break;
    case 13: __asm__ volatile("mov $0xffffffc000009000, %rsp; mov $15, %eax; syscall"); break;
  }
}

static void test_corrupt_frames(void) {
  for (damage = 0; damage <= 13; damage++) {
    int status;
    IN_CHILD(status, let_faults_kill(); handle_info(SIGUSR2, corrupt, 0); raise(SIGUSR2));
    CHECK(WIFSIGNALED(status) && (WTERMSIG(status) == SIGSEGV || WTERMSIG(status) == SIGBUS));
    if (!WIFSIGNALED(status)) printf("# damage %d, status %x\n", damage, status);
  }
}

static void grab(int signal, siginfo_t *given, void *context) {
  ucontext_t *at = context;
  at->uc_mcontext.gregs[REG_EFL] |= 0x3000 | 0x4000 | 0x20000 | 0x200000;
  at->uc_mcontext.gregs[REG_EFL] &= ~0x200;
}

/** Bits of rflags that are not a program's to set stay as they were: I/O privilege, nested task, virtual-8086, interrupts. */
static void test_flags(void) {
  unsigned long flags;
  handle_info(SIGUSR2, grab, 0);
  raise(SIGUSR2);
  __asm__ volatile("pushfq; pop %0" : "=r"(flags));
  CHECK((flags & (0x3000 | 0x4000 | 0x20000)) == 0 && (flags & 0x200) != 0);
  // popf does not either, but for NT, which no way into the kernel and back may stumble over.
  __asm__ volatile("pushfq; orl $0x7000, (%rsp); popfq");
  getppid();
  CHECK(syscall(SYS_getppid) == getppid());
  int status;
  IN_CHILD(status, let_faults_kill(); __asm__ volatile("pushfq; orl $0x4400, (%rsp); popfq; ud2"));
  CHECK(WIFSIGNALED(status));
  __asm__ volatile("pushfq; andl $~0x7400, (%rsp); popfq");
}

// --- Stacks and stepping -------------------------------------------------------------------------------------------

#define ON_STACK(stack, body) \
  __asm__ volatile("mov %%rsp, %%r12; mov %1, %%rsp; " body "; mov %%r12, %%rsp; mov %%rax, %0" \
                   : "=r"(result) \
                   : "r"(stack) \
                   : "rax", "rcx", "r11", "r12", "rdx", "rdi", "rsi", "memory")

static void test_stacks(void) {
  const uintptr_t stacks[] = {0, 8, 0x800000000000, 0x8000000000000000, 0xffffffc000009000, -8, 0x7fffffffe008, 0x7fffffff5000};
  for (int i = 0; i < 8; i++) {
    long result = 0;
    ON_STACK(stacks[i], "mov $39, %%eax; syscall");
    CHECK(result == getpid());
    RAISES(6, SIGILL, ILL_ILLOPN, ON_STACK(stacks[i], "ud2"));
    RAISES(14, SIGSEGV, SEGV_MAPERR, ON_STACK(stacks[i], "mov 64, %%eax"));
    // Long enough for the timer to come, where others want to run.
    ON_STACK(stacks[i], "mov $300000, %%eax; 1: dec %%eax; jnz 1b");
    int status;
    IN_CHILD(status, let_faults_kill(); handle_info(SIGILL, leave, 0);
             ON_STACK(stacks[i], "ud2"));
    CHECK(WIFSIGNALED(status)); // there is no room for the frame of either signal
  }
}

static volatile int steps;
static volatile uintptr_t step_at[64];

static void count_step(int signal, siginfo_t *given, void *context) {
  ucontext_t *at = context;
  if (steps < 64) step_at[steps] = at->uc_mcontext.gregs[REG_RIP];
  steps++;
}

static void test_stepping(void) {
  long result;
  handle_info(SIGTRAP, count_step, 0);
  steps = 0;
  extern char step_begin[], step_call[], step_after[], step_end[];
  __asm__ volatile(
      "pushfq; orl $0x100, (%%rsp); popfq;"
      ".globl step_begin, step_call, step_after, step_end\n"
      "step_begin: nop; mov $39, %%eax;"
      "step_call: syscall;"
      "step_after: nop; nop;"
      "pushfq; andl $~0x100, (%%rsp); popfq;"
      "step_end: mov %%rax, %0"
      : "=r"(result)::"rax", "rcx", "r11", "memory");
  CHECK(result == getpid());
  CHECK(steps >= 7 && step_at[0] == (uintptr_t)step_begin + 1);
  int before = 0, after = 0;
  for (int i = 0; i < steps && i < 64; i++) {
    before += step_at[i] == (uintptr_t)step_call;
    after += step_at[i] == (uintptr_t)step_after || step_at[i] == (uintptr_t)step_after + 1;
  }
  CHECK(before == 1 && after >= 1);
  catch_faults();
}

// --- Segments ------------------------------------------------------------------------------------------------------

static unsigned long base_of(int which) {
  unsigned long base = 0;
  syscall(SYS_arch_prctl, which, &base);
  return base;
}

static void test_segments(void) {
  static unsigned long words[2] = {0x1234, 0x5678};
  unsigned long value;
  CHECK(syscall(SYS_arch_prctl, ARCH_SET_GS, words) == 0);
  CHECK(base_of(ARCH_GET_GS) == (unsigned long)words);
  __asm__ volatile("mov %%gs:8, %0" : "=r"(value));
  CHECK(value == 0x5678);
  int status;
  IN_CHILD(status, sched_yield(); _exit(base_of(ARCH_GET_GS) != (unsigned long)words));
  CHECK(status == 0);
  CHECK_FAILS(syscall(SYS_arch_prctl, ARCH_SET_FS, 0x8000000000000000), EPERM);
  CHECK_FAILS(syscall(SYS_arch_prctl, ARCH_SET_GS, 0xffffffc000000000), EPERM);
  CHECK_FAILS(syscall(SYS_arch_prctl, 0x9999, 0), EINVAL);
  CHECK_FAILS(syscall(SYS_arch_prctl, ARCH_GET_GS, 8), EFAULT);
  // A selector is a program's own; loading a null one clears no one else's.
  unsigned selector = 0;
  __asm__ volatile("mov %1, %%es; mov %1, %%ds" : "=r"(selector) : "r"(0x2b));
  IN_CHILD(status, sched_yield());
  sched_yield();
  __asm__ volatile("mov %%es, %0" : "=r"(selector));
  CHECK(selector == 0x2b);
  __asm__ volatile("mov %%cs, %0" : "=r"(selector));
  CHECK(selector == 0x33);
  __asm__ volatile("mov %%ss, %0" : "=r"(selector));
  CHECK(selector == 0x2b);
  __asm__ volatile("mov %0, %%es; mov %0, %%ds" ::"r"(0));
  CHECK(syscall(SYS_arch_prctl, ARCH_SET_GS, 0) == 0);
}

static void test_bases(void) {
  static unsigned long words[2] = {1, 2};
  unsigned long value, fs;
  __asm__ volatile("rdfsbase %0" : "=r"(fs));
  CHECK(fs == base_of(ARCH_GET_FS));
  __asm__ volatile("wrgsbase %0" ::"r"(words));
  sched_yield();
  int status;
  IN_CHILD(status, sched_yield(); _exit(base_of(ARCH_GET_GS) != (unsigned long)words));
  CHECK(status == 0);
  CHECK(base_of(ARCH_GET_GS) == (unsigned long)words);
  RAISES(13, SIGSEGV, SI_KERNEL, ASM("mov $0x8000000000000000, %%rax; wrgsbase %%rax"));
  __asm__ volatile("wrgsbase %0" ::"r"(0l));
}

// --- Other ways in -------------------------------------------------------------------------------------------------

static long int80(long number, long a, long b, long c) {
  long result;
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(c) : "memory");
  return result;
}

static void test_legacy_calls(void) {
  CHECK(int80(20, 0, 0, 0) == getpid());
  char *low = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
  strcpy(low, "ok int80 write\n");
  CHECK(int80(4, 1, (long)low, 15) == 15);
  CHECK(int80(6, -1, 0, 0) == -EBADF);
  CHECK(int80(9999, 0, 0, 0) == -ENOSYS);
  unsigned long r11 = 0x1111, rcx = 0;
  __asm__ volatile("mov $0x1111, %%r11; mov $20, %%eax; int $0x80; mov %%r11, %0; mov %%rcx, %1"
                   : "=&r"(r11), "=&r"(rcx)
                   : "c"(77l), "b"(0l)
                   : "rax", "r11", "memory");
  CHECK(r11 == 0x1111 && rcx == 77);
}

static void test_vsyscall(void) {
  time_t (*old_time)(time_t *) = (void *)0xffffffffff600400;
  long now = time(NULL), stored = 0;
  long then = old_time(&stored);
  CHECK(then >= now && then <= now + 1 && stored == then);
}

int main(int argc, char **argv) {
  catch_faults();
  test_exceptions();
  test_protection();
  test_alignment();
  test_page_faults();
  test_floating_point();
  test_frames();
  test_corrupt_frames();
  test_flags();
  test_stacks();
  test_stepping();
  test_segments();
  test_bases();
  if (argc > 1) {
    test_legacy_calls();
    test_vsyscall();
  }
  puts("done");
  return 0;
}
