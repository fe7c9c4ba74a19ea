// The dialect of x86-64: Intel syntax, as GNU as reads it with `-msyntax=intel -mnaked-reg`.
//
//         .code32
//     start:  mov    eax, cr0
//             or     eax, 0x80000001
//             mov    cr0, eax
//             jmp    0x08:long               # a far pointer
//         .code64
//     long:   lea    rsp, [rip + stack_end]
//     1:      lock cmpxchg [rdi], esi
//             jne    1b
//
// Understood: every instruction of the table by the names that other assemblers give it; labels, local labels (`1:`, `1b`,
// `1f`); `#`, `//` and `/* */` comments; `;` between statements; directives. A jump is as short as its distance allows.
// The encoding chosen is the shortest, and among equally short ones that of GNU as.

import {
  type AssembledCode,
  type AssemblerOptions as CommonOptions,
  assembleSource,
  type Dialect,
  type DialectPass,
} from "../assembly/assembler.ts";
import { assembleInstruction } from "./assemble-instruction.ts";
import type { CodeMode } from "./decode-types.ts";

export type { AssembledCode } from "../assembly/assembler.ts";
export { AssemblyError } from "../assembly/errors.ts";

export interface AssemblerOptions extends CommonOptions {
  /** The mode that the source begins in; `.code32` and `.code64` change it. */
  readonly mode?: CodeMode;
}

/** Assembles a program; throws AssemblyError. */
export function assemble(source: string, options: AssemblerOptions): AssembledCode {
  const dialect: Dialect = {
    numberSizes: NUMBER_SIZES,
    alignment: "bytes",
    beginPass: () => beginPass(options.mode ?? 64),
  };
  return assembleSource(source, options, dialect);
}

const NUMBER_SIZES: Readonly<Record<string, number>> = {
  ".byte": 1,
  ".word": 2,
  ".short": 2,
  ".value": 2,
  ".long": 4,
  ".int": 4,
  ".quad": 8,
};

function beginPass(firstMode: CodeMode): DialectPass {
  let mode = firstMode;
  return {
    assemble: (mnemonic, operands, context) => assembleInstruction(`${mnemonic} ${operands}`, mode, context),
    directives: {
      ".code16": () => (mode = 16),
      ".code32": () => (mode = 32),
      ".code64": () => (mode = 64),
    },
    fillWithNops,
  };
}

/** Fills with the longest nops that GNU as uses. */
function fillWithNops(bytes: Uint8Array, start: number): void {
  for (let at = start; at < bytes.length;) {
    const nop = NOPS[Math.min(bytes.length - at, NOPS.length - 1)] ?? [];
    bytes.set(nop, at);
    at += nop.length;
  }
}

/** By length. Intel SDM volume 2, NOP, "Recommended Multi-Byte Sequence", and longer ones by prefixes. */
const NOPS: readonly (readonly number[])[] = [
  [],
  [0x90],
  [0x66, 0x90],
  [0x0f, 0x1f, 0x00],
  [0x0f, 0x1f, 0x40, 0x00],
  [0x0f, 0x1f, 0x44, 0x00, 0x00],
  [0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00],
  [0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00],
  [0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00],
  [0x66, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00],
  [0x66, 0x2e, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00],
  [0x66, 0x66, 0x2e, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00],
];
