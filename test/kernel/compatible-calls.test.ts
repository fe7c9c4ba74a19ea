// `int 0x80` on x86-64: i386's numbers and registers, from 64-bit code (docs/system-calls.md).

import assert from "node:assert/strict";
import { test } from "node:test";
import { COMPATIBLE_CALLS } from "../../src/kernel/syscall/table.ts";
import { assembleProgram, bootGuest } from "../support/guest.ts";

/** Runs a program whose data lies below 4 GiB; answers its status, what it printed, and the calls that it made. */
function run(source: string): { status: number; output: string; calls: string[]; steps: string[] } {
  const calls: string[] = [];
  const steps: string[] = [];
  const guest = bootGuest({
    arch: "x86_64",
    files: { "bin/program": assembleProgram("x86_64", source) },
    argv: ["/bin/program"],
    checkInvariants: true,
    onKernel: (k) => {
      k.probes.syscallExit = (_thread, number, row, _args, result) =>
        calls.push(`${number - COMPATIBLE_CALLS} ${row?.name ?? k.arch.callNames.get(number) ?? "?"} ${result}`);
      k.probes.trapStep = (_hart, step, detail) => step === "usertrap" && steps.push(String(detail["cause"]));
    },
  });
  const state = guest.finish();
  assert.equal(state.report, undefined);
  return { status: state.status, output: guest.output(), calls, steps };
}

test("a call by int 0x80 has its number in eax and its arguments in ebx, ecx, edx, and leaves all other registers", () => {
  const { status, output, steps } = run(`
    _start:
      mov r8, 0x1122334455667788
      mov r11, -1
      mov eax, 4                       # write
      mov ebx, 1
      lea rcx, [rip + text]
      mov edx, 6
      int 0x80
      cmp rax, 6
      jne failed
      mov rdi, 0x1122334455667788
      cmp r8, rdi
      jne failed
      cmp r11, -1                      # syscall would have the flags there
      jne failed
      mov eax, 1                       # exit
      mov ebx, 7
      int 0x80
    failed:
      mov edi, 99
      mov eax, 60
      syscall
    text:
      .ascii "hello\\n"
  `);
  assert.equal(status, 7);
  assert.equal(output, "hello\r\n");
  assert.ok(steps.includes("128"), "the vector");
});

test("arguments are 32 bits wide: an upper half counts for nothing, and a negative offset is one", () => {
  const { status, calls } = run(`
    _start:
      mov eax, 5                       # open
      movabs rbx, 0xffffffff00000000
      lea rcx, [rip + path]
      or rbx, rcx
      xor ecx, ecx
      int 0x80
      mov r12, rax
      mov eax, 19                      # lseek
      mov rbx, r12
      mov ecx, -8
      mov edx, 2
      int 0x80
      mov edi, eax
      mov eax, 60
      syscall
    path:
      .asciz "/bin/program"
  `);
  assert.match(calls[0] ?? "", /^5 open \d+$/);
  assert.match(calls[1] ?? "", /^19 lseek \d+$/);
  assert.notEqual(status, 234, "not EINVAL");
});

test("mmap2 counts its offset in pages and places below 2 GiB; what needs a 32-bit structure is ENOSYS", () => {
  const { calls } = run(`
    _start:
      mov eax, 192                     # mmap2
      xor ebx, ebx
      mov ecx, 8192
      mov edx, 3
      mov esi, 0x22
      mov edi, -1
      xor ebp, ebp
      int 0x80
      mov [rax], rax
      mov eax, 13                      # time: its time_t has 32 bits
      xor ebx, ebx
      int 0x80
      mov eax, 195                     # stat64
      int 0x80
      mov eax, 9999
      int 0x80
      mov edi, 0
      mov eax, 60
      syscall
  `);
  const [name, address] = [calls[0]?.split(" ")[1], Number(calls[0]?.split(" ")[2])];
  assert.equal(name, "mmap2");
  assert.ok(address > 0 && address < 2 ** 31, `0x${address.toString(16)}`);
  assert.deepEqual(calls.slice(1, 4), ["13 time ENOSYS", "195 stat64 ENOSYS", "9999 ? ENOSYS"]);
});

test("a call that blocks goes on when it is woken, and is begun anew after a handler with SA_RESTART", () => {
  const { status, calls } = run(`
    _start:
      mov eax, 42                      # pipe
      lea rbx, [rip + fds]
      int 0x80
      mov eax, 13                      # rt_sigaction(SIGUSR1, &action)
      mov edi, 10
      lea rsi, [rip + action]
      lea rax, [rip + handler]
      mov [rsi], rax
      lea rax, [rip + restorer]
      mov [rsi + 16], rax
      mov eax, 13
      xor edx, edx
      mov r10d, 8
      syscall
      mov eax, 2                       # fork
      int 0x80
      test eax, eax
      jz child
      mov eax, 3                       # read: blocks, is interrupted, blocks again
      mov ebx, [rip + fds]
      lea rcx, [rip + buffer]
      mov edx, 4
      int 0x80
      mov ebx, eax
      add ebx, [rip + handled]
      mov eax, 1
      int 0x80
    child:
      call nap
      mov eax, 64                      # getppid
      int 0x80
      mov ebx, eax
      mov ecx, 10
      mov eax, 37                      # kill
      int 0x80
      call nap
      mov eax, 4                       # write
      mov ebx, [rip + fds + 4]
      lea rcx, [rip + buffer]
      mov edx, 3
      int 0x80
      xor ebx, ebx
      mov eax, 1
      int 0x80
    nap:
      mov eax, 35
      lea rdi, [rip + duration]
      xor esi, esi
      syscall
      ret
    handler:
      add dword ptr [rip + handled], 10
      ret
    restorer:
      mov eax, 15
      syscall
      .balign 8
    fds:      .quad 0
    buffer:   .quad 0
    handled:  .quad 0
    duration: .quad 0, 1000000
    action:   .quad 0, 0x14000000, 0, 0    # SA_RESTORER | SA_RESTART
  `);
  assert.equal(status, 13, "three bytes, and one run of the handler");
  assert.ok(calls.includes("3 read ERESTART"));
  assert.ok(calls.includes("3 read 3"));
});
