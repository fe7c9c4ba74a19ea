// The machine code of the kernel's trap path.
//
//   user syscall ──────────> uservec ──> usertrap: kentry ──> TypeScript ──> usersysret ──> sysretq
//   exception, interrupt ──> vector_N ─> trapvec ──┘ (user)              └─> userret ─────> iretq
//                                          └ (kernel) kernelvec: kentry ──> TypeScript
//                            trampoline    kernel text                        trampoline
//
// The trampoline page has the same address in every space, so that CR3 can change under the running code. User mode keeps the
// address of its thread's trapframe in IA32_KERNEL_GS_BASE: `syscall`, which changes neither stack nor page table, finds it by
// swapgs. Exceptions and interrupts begin on the stack that the TSS names, which is the end of the same trapframe, so that the
// hart pushes the first part itself. Either way the kernel's stack, page table and entry are taken from the trapframe (X2, X3).
// PCIDs spare both changes of CR3 a TLB flush.
//
// sysretq goes back only where rcx and r11 are what it needs them to be: after a system call that ended as system calls do. All else
// returns by iretq, which reads the hart's part of the trapframe.
//
// Intel SDM volume 3, 5.8.8 (syscall), 6.14 (64-bit interrupts), 4.10.1 (PCIDs); volume 2, SWAPGS, SYSRET.

import { GATE, GATE_SIZE_64, SYSTEM_TYPE } from "../../../isa/x86_64/segments.ts";
import { pushesErrorCode } from "../../../isa/x86_64/vectors.ts";
import { highHalf } from "../../../lib/word64.ts";
import { writeU32 } from "../../../lib/bytes.ts";
import { ENTRY, OWN_STACKS, USER_VECTORS, VECTORS } from "./entries.ts";
import { IDT_SIZE, SELECTORS } from "./hart.ts";
import { SAVED_REGISTERS, SYSCALL, TRAPFRAME } from "./trapframe.ts";

const save = SAVED_REGISTERS.map(
  (name, index) => `    mov qword ptr gs:[${TRAPFRAME.registers + index * 8}], ${name}`,
).join("\n");
const push = SAVED_REGISTERS.toReversed()
  .map((name) => `    push ${name}`)
  .join("\n");
const pop = SAVED_REGISTERS.map((name) => `    pop ${name}`).join("\n");

/** Bytes that are on the stack below the hart's part once the registers are pushed. */
const PUSHED = SAVED_REGISTERS.length * 8;

/** From the user's page table, all saved, to usertrap. */
const ENTER_KERNEL = `
    mov rsp, qword ptr gs:[${TRAPFRAME.kernelStack}]
    mov rcx, qword ptr gs:[${TRAPFRAME.kernelTrap}]
    mov rax, qword ptr gs:[${TRAPFRAME.kernelCr3}]
    mov cr3, rax                    # the kernel's page table: this page is at the same address there
    jmp rcx                         # usertrap
`;

/** A vector's stub: makes all frames alike, with the error code (or 0) and the vector on top of what the hart pushes. */
function stub(vector: number): string {
  return `
vector_${vector}:
${pushesErrorCode(vector) ? "" : "    push 0"}
    push ${vector}
    jmp ${OWN_STACKS.has(vector) ? "ownvec" : "trapvec"}`;
}

export const TRAMPOLINE_SOURCE = `
uservec:                            # rcx = rip, r11 = rflags; rsp and the page table are the user's
    swapgs                          # gs = the thread's trapframe
    mov qword ptr gs:[${TRAPFRAME.rsp}], rsp
    mov qword ptr gs:[${TRAPFRAME.rip}], rcx
    mov qword ptr gs:[${TRAPFRAME.rflags}], r11
${save}
    mov dword ptr gs:[${TRAPFRAME.vector}], ${SYSCALL}
${ENTER_KERNEL}

    .align 16
trapvec:                            # rsp -> vector, error code, rip, cs, rflags, rsp, ss
    test byte ptr [rsp + 24], 3     # the privilege that was interrupted
    jz ownvec
    clac                            # AC is the user's to set; the kernel touches no user page by mistake
${push}
    swapgs
${ENTER_KERNEL}

    .align 16
ownvec:                             # of the kernel, or on a stack of its own: gs is left as it is, whosever it is
    clac
${push}
    mov rdi, [rsp + ${PUSHED}]      # vector
    mov rsi, [rsp + ${PUSHED + 8}]  # error code
    mov rdx, [rsp + ${PUSHED + 16}] # rip
    mov rbx, cr3
    bts rbx, 63                     # what to go back to, with its translations kept
    mov rax, qword ptr [rip + kernel_cr3]
    bts rax, 63
    mov cr3, rax
    movabs rax, offset kernelvec
    jmp rax

    .align 16
kernelret:                          # after an NMI: as if nothing had been
    mov cr3, rbx
${pop}
    add rsp, 16                     # vector, error code
    iretq

    .align 16
userret:                            # rsp -> the trapframe's registers, rax = the user's CR3, gs = the trapframe
    mov cr3, rax
${pop}
    add rsp, 16                     # vector, error code
    swapgs
    iretq

    .align 16
usersysret:                         # the same, with rcx = rip and r11 = rflags in the trapframe
    mov cr3, rax
${pop}
    mov rsp, [rsp + ${TRAPFRAME.rsp - TRAPFRAME.vector}]
    swapgs
    sysretq
${VECTORS.map(stub).join("")}
`;

/** Kernel text: entered from uservec and trapvec, from traps in the kernel, and when there is nothing to run. */
export const TEXT_SOURCE = `
usertrap:
    kentry ${ENTRY.userTrap}        # leaves through userret or usersysret, the idle loop or not at all
    jmp stuck

kernelvec:                          # rdi = vector, rsi = error code, rdx = rip: interrupts of the idle loop; most else is a panic
    kentry ${ENTRY.kernelTrap}      # comes back only from an NMI
    movabs rax, offset kernelret
    jmp rax

idle:
    sti
    hlt
    jmp idle

fault:                              # the monitor's: nothing is mapped at address 0
    xor eax, eax
    mov rax, [rax]

stuck:
    kentry ${ENTRY.stuck}
    jmp stuck
`;

/** The page with the signal-return code: what a program without a restorer of its own would need. Mapped in every process. */
export const VDSO_SOURCE = `
rt_sigreturn:
    mov eax, 15                     # __NR_rt_sigreturn
    syscall
`;

/** The IDT: interrupt gates, through which a hart comes with interrupts off, to the stubs of the trampoline. */
export function encodeIdt(symbols: ReadonlyMap<string, number>): Uint8Array {
  const bytes = new Uint8Array(IDT_SIZE);
  for (const vector of VECTORS) {
    const handler = symbols.get(`vector_${vector}`) ?? 0;
    const privilege = USER_VECTORS.has(vector) ? 3 : 0;
    const at = vector * GATE_SIZE_64;
    writeU32(bytes, at, (SELECTORS.kernelCode << 16) | (handler & 0xffff));
    writeU32(
      bytes,
      at + 4,
      (handler & GATE.OFFSET_HIGH) |
        GATE.P |
        (privilege << GATE.DPL_SHIFT) |
        (SYSTEM_TYPE.interruptGate << GATE.TYPE_SHIFT) |
        (OWN_STACKS.get(vector) ?? 0),
    );
    writeU32(bytes, at + 8, highHalf(handler));
  }
  return bytes;
}
