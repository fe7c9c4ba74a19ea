// The host CPU as an oracle: each form of an instruction becomes a function of assembly that loads a state, executes it, and stores the state.
//
//     0    16   32   48  56  64  72  80       96    100   104
//     +----+----+----+---+---+---+---+--------+-----+-----+-------+
//     |xmm0|xmm1|xmm2|mm0|mm1|rax|rcx| memory |mxcsr|flags|trapped|      STATE_SIZE bytes
//     +----+----+----+---+---+---+---+--------+-----+-----+-------+
//
// rsi and rdi point at the memory, rdx at its value. `trapped` tells that the instruction raised SIGFPE; the rest is then as before it, with
// MXCSR as the CPU left it.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { arch, tmpdir } from "node:os";
import { join } from "node:path";
import { runTool, skipWithout } from "../support/tools.ts";
import { assemblyOf, type Form } from "./x86-forms.ts";

export const STATE_SIZE = 112;
export const STATE = {
  xmm: 0,
  mm: 48,
  rax: 64,
  rcx: 72,
  memory: 80,
  mxcsr: 96,
  flags: 100,
  trapped: 104,
} as const;

/** Why there is no such oracle here, or false. */
export const skipHostCpu = arch() === "x64" ? skipWithout("gcc") : "needs an x86-64 host";

/** A form with one value of its immediate, and a state to begin with. */
export interface HostCase {
  readonly form: Form;
  readonly immediate: number;
  readonly state: Uint8Array;
}

/** The states that the host CPU leaves, case by case. */
export function runOnHost(cases: readonly HostCase[]): Uint8Array[] {
  const functions = new Map<string, number>();
  const numbers = cases.map(({ form, immediate }) => {
    const text = assemblyOf(form, immediate);
    const known = functions.get(text) ?? functions.size;
    functions.set(text, known);
    return known;
  });
  const input = new Uint8Array(cases.length * (STATE_SIZE + 16));
  const view = new DataView(input.buffer);
  cases.forEach(({ state }, n) => {
    view.setUint32(n * (STATE_SIZE + 16), numbers[n] ?? 0, true);
    input.set(state, n * (STATE_SIZE + 16) + 16);
  });
  const output = compileAndRun([...functions.keys()], input);
  return cases.map((_, n) => output.slice(n * STATE_SIZE, (n + 1) * STATE_SIZE));
}

function compileAndRun(instructions: readonly string[], input: Uint8Array): Uint8Array {
  const folder = mkdtempSync(join(tmpdir(), "vitrine-host-"));
  try {
    const [assembly, program, binary] = ["a.s", "a.c", "a.out"].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ];
    writeFileSync(assembly, assemblyProgram(instructions));
    writeFileSync(program, DRIVER);
    runTool("gcc", ["-O1", "-w", "-o", binary, program, assembly]);
    return new Uint8Array(runTool(binary, [], { input }));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function assemblyProgram(instructions: readonly string[]): string {
  const body = instructions.map((instruction, n) => `f${n}: call enter\n ${instruction}\n jmp leave\n`);
  return `.intel_syntax noprefix
.section .note.GNU-stack,"",@progbits
.text
enter:
 mov rbx, rdi
 lea rsi, [rbx+${STATE.memory}]
 mov rdi, rsi
 movdqu xmm0, [rbx]
 movdqu xmm1, [rbx+16]
 movdqu xmm2, [rbx+32]
 movq mm0, [rbx+48]
 movq mm1, [rbx+56]
 mov rax, [rbx+64]
 mov rcx, [rbx+72]
 mov rdx, [rsi]
 ldmxcsr [rbx+96]
 push 0x202
 popfq
 ret
leave:
 pushfq
 pop [rbx+100]
 stmxcsr [rbx+96]
 movdqu [rbx], xmm0
 movdqu [rbx+16], xmm1
 movdqu [rbx+32], xmm2
 movq [rbx+48], mm0
 movq [rbx+56], mm1
 mov [rbx+64], rax
 mov [rbx+72], rcx
 emms
 mov dword ptr [rbx+104], 0
 pop rbx
 ret
${body.join("").replaceAll(/(f\d+:) call/g, "$1 push rbx\n call")}
.data
.globl functions
.balign 8
functions:
${instructions.map((_, n) => ` .quad f${n}`).join("\n")}
`;
}

const DRIVER = `
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <ucontext.h>
extern void (*functions[])(void *);
static sigjmp_buf back;
static volatile uint32_t trapped_mxcsr;
static void on_signal(int number, siginfo_t *info, void *context) {
  trapped_mxcsr = ((ucontext_t *)context)->uc_mcontext.fpregs->mxcsr;
  siglongjmp(back, 1);
}
int main(void) {
  static struct { uint32_t number, pad[3]; unsigned char state[${STATE_SIZE}]; } one __attribute__((aligned(16)));
  struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
  sigaction(SIGFPE, &action, 0);
  uint32_t standard = 0x1f80;
  while (fread(&one, sizeof one, 1, stdin) == 1) {
    static unsigned char before[${STATE_SIZE}];
    memcpy(before, one.state, sizeof before);
    if (sigsetjmp(back, 1) == 0) {
      functions[one.number](one.state);
    } else {
      memcpy(one.state, before, sizeof before);
      memcpy(one.state + ${STATE.mxcsr}, (void *)&trapped_mxcsr, 4);
      one.state[${STATE.trapped}] = 1;
    }
    __asm__ volatile("ldmxcsr %0; emms" : : "m"(standard));
    fwrite(one.state, sizeof one.state, 1, stdout);
  }
  return 0;
}
`;
