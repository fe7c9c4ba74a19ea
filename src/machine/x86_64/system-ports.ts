/**
 * The port space: in, out, ins, outs. A port is for who has the I/O privilege, or whose task's bitmap has a 0 for it. Intel SDM volume
 * 1, 18.5 (protected-mode I/O).
 */
import { OPERAND, type Decoded, type DecodedOperand } from "../../isa/x86_64/decode-types.ts";
import { GPR, SEGMENT } from "../../isa/x86_64/registers.ts";
import { TSS64 } from "../../isa/x86_64/segments.ts";
import { VECTOR } from "../../isa/x86_64/vectors.ts";
import { newSpan } from "./access.ts";
import { notePort } from "./breakpoints.ts";
import { CELL, segmentAttributes, TR } from "./layout.ts";
import { linearOf, oneByOne } from "./strings.ts";
import type { SystemHart, SystemOutcome, SystemSemantics } from "./system.ts";

/** The type bit of a TSS that has a bitmap: one of 32 or 64 bits. */
const WIDE = 8;
const INS_POINTERS = [GPR.rdi];
const OUTS_POINTERS = [GPR.rsi];
const element = newSpan();

type PortSize = 1 | 2 | 4;

/** Whether the hart may access ports; false notes the fault. */
function mayAccess(hart: SystemHart, port: number, size: number): boolean {
  const { registers } = hart;
  return registers.cpl <= registers.iopl || isInBitmap(hart, port, size);
}

function isInBitmap({ registers, access, segmentation }: SystemHart, port: number, size: number): boolean {
  if ((registers.get(segmentAttributes(TR)) & WIDE) === 0) return access.fail(VECTOR.GP);
  // A field beyond the limit of the TSS denies the port with #GP(0), where the stacks would make it #TS.
  if (!segmentation.readTask(TSS64.ioMapBase, 2, 0)) return denyUnlessPage(access.vector, access);
  const at = registers.get(CELL.stepValue) + (port >> 3);
  if (!segmentation.readTask(at, 2, 0)) return denyUnlessPage(access.vector, access);
  const denied = (registers.get(CELL.stepValue) >> (port & 7)) & ((1 << size) - 1);
  return denied === 0 || access.fail(VECTOR.GP);
}

const denyUnlessPage = (vector: number, access: SystemHart["access"]): false =>
  vector === VECTOR.PF ? false : access.fail(VECTOR.GP);

/** The port that an operand names: an immediate, or dx. */
const portOf = ({ registers }: SystemHart, decoded: Decoded, { kind }: DecodedOperand): number =>
  kind === OPERAND.immediate ? decoded.immLo & 0xff : registers.gprLo(GPR.rdx) & 0xffff;

const portIn: SystemSemantics = (hart, decoded): SystemOutcome => {
  const { registers, machine } = hart;
  const [to, from] = decoded.operands;
  const port = portOf(hart, decoded, from);
  const size = to.size as PortSize; // al, ax or eax
  if (!mayAccess(hart, port, size)) return "faulted";
  notePort(registers, port, size);
  registers.writeGpr(GPR.rax, size, machine.bus.ports.load(port, size), 0);
  return "done";
};

const portOut: SystemSemantics = (hart, decoded): SystemOutcome => {
  const { registers, machine } = hart;
  const [to, from] = decoded.operands;
  const port = portOf(hart, decoded, to);
  const size = from.size as PortSize; // al, ax or eax
  if (!mayAccess(hart, port, size)) return "faulted";
  notePort(registers, port, size);
  machine.bus.ports.store(port, size, truncate(registers.gprLo(GPR.rax), size));
  return "done";
};

const truncate = (value: number, size: number): number =>
  size === 1 ? value & 0xff : size === 2 ? value & 0xffff : value;

/** Elements have at most 4 bytes: REX.W means nothing here. */
function elementSize(decoded: Decoded): PortSize {
  const size = decoded.operandSize === 8 ? 4 : decoded.operandSize;
  decoded.operandSize = size;
  return size;
}

const ins: SystemSemantics = (hart, decoded) => {
  const { registers, access, machine } = hart;
  const port = registers.gprLo(GPR.rdx) & 0xffff;
  const size = elementSize(decoded);
  if (!mayAccess(hart, port, size)) return "faulted";
  return oneByOne(hart, decoded, INS_POINTERS, () => {
    if (!linearOf(hart, decoded, GPR.rdi, SEGMENT.es, "store")) return "faulted";
    if (!access.resolve("store", size, access.linearLo, access.linearHi, element)) return "faulted";
    notePort(registers, port, size);
    registers.setWords(CELL.stepValue, machine.bus.ports.load(port, size), 0);
    access.writeSpan(element, size, CELL.stepValue);
    return "next";
  });
};

const outs: SystemSemantics = (hart, decoded) => {
  const { registers, access, machine } = hart;
  const port = registers.gprLo(GPR.rdx) & 0xffff;
  const size = elementSize(decoded);
  if (!mayAccess(hart, port, size)) return "faulted";
  return oneByOne(hart, decoded, OUTS_POINTERS, () => {
    if (!linearOf(hart, decoded, GPR.rsi, decoded.segment, "load")) return "faulted";
    if (!access.resolve("load", size, access.linearLo, access.linearHi, element)) return "faulted";
    access.readSpan(element, size, CELL.stepValue);
    notePort(registers, port, size);
    machine.bus.ports.store(port, size, truncate(registers.get(CELL.stepValue), size));
    return "next";
  });
};

export const portSemantics = { in: portIn, out: portOut, ins, outs } satisfies Record<string, SystemSemantics>;
