// All instructions of MMX, SSE, SSE2, SSE3, SSSE3, SSE4.1 and SSE4.2, by mnemonic.
//
// A memory operand that is operand 0 is only written, any other is only read (ldmxcsr's, operand 0, is read). Memory of 16 bytes must be
// aligned, except where `toleratesMisalignment` says otherwise.

import type { MnemonicOfExtension } from "../../../isa/x86_64/instructions.ts";
import type { Semantics } from "../emitter.ts";
import { sseFloatSemantics } from "./sse-float.ts";
import { sseIntegerSemantics } from "./sse-integer.ts";
import { sseMoveSemantics } from "./sse-move.ts";
import { sseShuffleSemantics } from "./sse-shuffle.ts";

/** Those of the base that are defined here: what came with SSE, and has no state of it. */
export type SseMnemonic =
  | MnemonicOfExtension<"mmx" | "sse" | "sse2" | "sse3" | "ssse3" | "sse4.1" | "sse4.2">
  | "crc32"
  | "movnti";

export const sseSemantics = {
  ...sseMoveSemantics,
  ...sseIntegerSemantics,
  ...sseShuffleSemantics,
  ...sseFloatSemantics,
} satisfies Record<SseMnemonic, Semantics>;

const UNALIGNED: ReadonlySet<string> = new Set([
  "movups",
  "movupd",
  "movdqu",
  "lddqu",
  "pcmpestri",
  "pcmpestrm",
  "pcmpistri",
  "pcmpistrm",
]);

/** Whether the instruction's 16 bytes of memory may lie anywhere; the others raise #GP unless those are aligned. SDM volume 1, 4.1.1. */
export function toleratesMisalignment(mnemonic: string): boolean {
  return UNALIGNED.has(mnemonic);
}
