// The exact definitions of MMX and SSE instructions: of those whose emitted form may leave by `slow`.

import type { ExactX86 } from "../exact.ts";
import { exactSseFloat } from "./sse-exact-float.ts";
import { exactSseStrings } from "./sse-exact-strings.ts";

const exactSse: Readonly<Record<string, ExactX86 | undefined>> = {
  ...exactSseStrings,
  ...exactSseFloat,
};

/** The exact definition of an MMX or SSE instruction, if it has one; the emitted form of the others never leaves by `slow`. */
export function exactSseOf(mnemonic: string): ExactX86 | undefined {
  return exactSse[mnemonic];
}
