// The machine code of the kernel's trap path.
//
//   user ecall ──> uservec ──> usertrap: kentry ──> TypeScript ──> userret ──> sret
//                  trampoline  kernel text                         trampoline
//
// The trampoline page has the same address in every space, so that satp can change under the running code. uservec saves the
// user's registers in the trapframe page whose address is in sscratch, takes the kernel's stack, hart id and page table from
// it, and jumps to the kernel; userret does the reverse (X2, X3; xv6's trampoline.S has the same shape). ASIDs spare both a TLB flush.
//
// RISC-V privileged architecture, "Supervisor CSRs": sscratch, stvec, sepc, satp.

import { X_REGISTER_NAMES } from "../../../isa/riscv64/registers.ts";
import { ENTRY } from "./entries.ts";
import { TRAPFRAME, trapframeOffset } from "./trapframe.ts";

const A0 = 10;
const GENERAL_REGISTERS = X_REGISTER_NAMES.map((name, number) => ({ name, number })).slice(1);
const WITHOUT_A0 = GENERAL_REGISTERS.filter(({ number }) => number !== A0);
const WITHOUT_SP = GENERAL_REGISTERS.filter(({ name }) => name !== "sp");

export const TRAMPOLINE_SOURCE = `
uservec:
    csrrw a0, sscratch, a0          # a0 = trapframe, sscratch = the user's a0
${WITHOUT_A0.map(({ name, number }) => `    sd ${name}, ${trapframeOffset(number)}(a0)`).join("\n")}
    csrrw t0, sscratch, a0          # the user's a0; sscratch is ready for the next trap
    sd t0, ${trapframeOffset(A0)}(a0)
    ld sp, ${TRAPFRAME.kernelStack}(a0)
    ld tp, ${TRAPFRAME.hartId}(a0)
    ld t0, ${TRAPFRAME.kernelTrap}(a0)
    ld t1, ${TRAPFRAME.kernelSatp}(a0)
    csrw satp, t1                   # the kernel's page table: this page is at the same address there
    jr t0                           # usertrap

    .align 4
userret:                            # a0 = trapframe, a1 = the user's satp
    csrw satp, a1
${WITHOUT_A0.map(({ name, number }) => `    ld ${name}, ${trapframeOffset(number)}(a0)`).join("\n")}
    ld a0, ${trapframeOffset(A0)}(a0)
    sret
`;

/** Bytes that kernelvec takes on the kernel stack: 32 registers. */
const KERNEL_FRAME = 256;

/** Kernel text: entered from uservec, from traps in the kernel, and when there is nothing to run. */
export const TEXT_SOURCE = `
usertrap:
    kentry ${ENTRY.userTrap}        # leaves through userret, the idle loop or not at all
    j stuck

kernelvec:                          # a trap in supervisor mode: interrupts of the idle loop; anything else is a panic
    addi sp, sp, -${KERNEL_FRAME}
${WITHOUT_SP.map(({ name, number }) => `    sd ${name}, ${number * 8}(sp)`).join("\n")}
    kentry ${ENTRY.kernelTrap}
${WITHOUT_SP.map(({ name, number }) => `    ld ${name}, ${number * 8}(sp)`).join("\n")}
    addi sp, sp, ${KERNEL_FRAME}
    sret

idle:
    wfi
    j idle

fault:                              # the monitor's: nothing is mapped at address 0
    ld t0, 0(zero)

stuck:
    kentry ${ENTRY.stuck}
    j stuck
`;

/** What a signal handler returns to; mapped in every process. */
export const VDSO_SOURCE = `
rt_sigreturn:
    li a7, 139                      # __NR_rt_sigreturn
    ecall
`;
