/**
 * Emitted forms of system instructions that are on the path of every trap: what most often happens, and the exact tier does the rest.
 * Intel SDM volume 2, SWAPGS, CLAC.
 */
import type { Mnemonic } from "../../../isa/x86_64/instructions.ts";
import { RFLAGS, SEGMENT } from "../../../isa/x86_64/registers.ts";
import type { Semantics } from "../emitter.ts";
import { CELL, segmentBase } from "../layout.ts";

const swapgs: Semantics = (e) => {
  e.slow(e.state32(CELL.cpl));
  const user = e.let(e.state64(segmentBase(SEGMENT.gs)));
  e.setState64(segmentBase(SEGMENT.gs), e.state64(CELL.kernelGsBase));
  e.setState64(CELL.kernelGsBase, user.get());
};

/** Where AC is clear already. */
const clac: Semantics = (e) => {
  const { i32 } = e;
  e.slow(i32.or(e.state32(CELL.cpl), i32.and(e.state32(CELL.systemFlags), i32.const(RFLAGS.AC))));
};

export const systemEmitted = { swapgs, clac } satisfies Partial<Record<Mnemonic, Semantics>>;
