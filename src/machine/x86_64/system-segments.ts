/**
 * Instructions on segment registers and descriptors. Intel SDM volume 2, "Operation" of each; volume 3, 5.10 (checks of pointers:
 * lar, lsl, verr, verw, arpl).
 */
import { OPERAND } from "../../isa/x86_64/decode-types.ts";
import { CR4, GPR, SEGMENT } from "../../isa/x86_64/registers.ts";
import { SELECTOR } from "../../isa/x86_64/segments.ts";
import { VECTOR } from "../../isa/x86_64/vectors.ts";
import { CELL, LDTR, segmentBase, segmentSelector, TR } from "./layout.ts";
import { isCanonical } from "./mmu.ts";
import { isLongMode, isNull } from "./segmentation.ts";
import type { SystemHart, SystemOutcome, SystemSemantics } from "./system.ts";

const isDone = (isSuccessful: boolean): SystemOutcome => (isSuccessful ? "done" : "faulted");

/** mov between a segment register and a general register or memory. */
export const moveSegment: SystemSemantics = (hart, decoded) => {
  const { registers, operands } = hart;
  const [to, from] = decoded.operands;
  if (from.kind === OPERAND.segment) {
    return isDone(operands.write(decoded, 0, registers.get(segmentSelector(from.register)), 0));
  }
  if (to.register === SEGMENT.cs) return "undefined";
  if (!operands.read(decoded, 1)) return "faulted";
  return loadSegment(hart, to.register, operands.valueLo & 0xffff);
};

/** Loads a segment register; after ss comes an instruction that nothing interrupts, which may load rsp. */
function loadSegment(hart: SystemHart, segment: number, selector: number): SystemOutcome {
  if (!hart.segmentation.load(segment, selector)) return "faulted";
  if (segment === SEGMENT.ss) shadow(hart, SHADOW.START | SHADOW.DEBUG);
  return "done";
}

/** CELL.interruptShadow: instructions to the end of the shadow, this one included; after a load of ss debug traps wait too. */
export const SHADOW = { COUNT: 3, START: 2, DEBUG: 4 } as const;

/** Interrupts wait until the next instruction has retired. Of two shadows in a row only the first counts. */
export function shadow({ registers }: SystemHart, value: number): void {
  if (registers.get(CELL.interruptShadow) === 0) registers.set(CELL.interruptShadow, value);
}

/** push of a segment register: a slot of the operand size. */
const pushSegment: SystemSemantics = ({ registers, operands }, decoded) =>
  isDone(operands.push(decoded.operandSize, registers.get(segmentSelector(decoded.operands[0].register)), 0));

const popSegment: SystemSemantics = (hart, decoded) => {
  const { operands } = hart;
  const { stackSize } = hart.registers;
  if (!operands.readStack(0, decoded.operandSize)) return "faulted";
  const outcome = loadSegment(hart, decoded.operands[0].register, operands.valueLo & 0xffff);
  // The slot is of the size that the old ss had.
  if (outcome === "done") moveStackOf(hart, stackSize, decoded.operandSize);
  return outcome;
};

function moveStackOf({ registers }: SystemHart, stackSize: number, bytes: number): void {
  const sum = (registers.rspLo >>> 0) + bytes;
  const hi = stackSize === 8 && sum > 0xffffffff ? (registers.rspHi + 1) | 0 : registers.rspHi;
  registers.writeGpr(GPR.rsp, stackSize, sum | 0, hi);
}

/** lds, les, lss, lfs, lgs: a far pointer. */
const loadPointer =
  (segment: number): SystemSemantics =>
  (hart, decoded) => {
    const { operands, registers } = hart;
    const size = decoded.operandSize;
    if (!operands.load(decoded, size, 2)) return "faulted";
    const selector = operands.valueLo;
    if (!operands.load(decoded, 0, size)) return "faulted";
    const { valueLo, valueHi } = operands;
    const outcome = loadSegment(hart, segment, selector);
    if (outcome === "done") registers.writeGpr(decoded.operands[0].register, size, valueLo, valueHi);
    return outcome;
  };

// --- What may be known of a descriptor -----------------------------------------------------------------------------

/** System descriptors that lar tells of, and lsl: a bit for each type. Long mode has fewer. */
const LAR_TYPES = [1, 2, 3, 4, 5, 9, 11, 12].reduce((bits, type) => bits | (1 << type), 0);
const LAR_LONG_TYPES = [2, 9, 11, 12].reduce((bits, type) => bits | (1 << type), 0);
const LSL_TYPES = [1, 2, 3, 9, 11].reduce((bits, type) => bits | (1 << type), 0);
const LSL_LONG_TYPES = [2, 9, 11].reduce((bits, type) => bits | (1 << type), 0);

/** Whether the hart may see the descriptor, which is fetched then; "faulted" if a page is missing. */
function inspect(hart: SystemHart, selector: number, types: number, longTypes: number): boolean | "faulted" {
  const { registers, segmentation } = hart;
  if (isNull(selector)) return false;
  const found = segmentation.look(selector, false);
  if (found !== "read") return found === "faulted" ? "faulted" : false;
  const isLong = isLongMode(registers);
  if (segmentation.isSystem) {
    if ((((isLong ? longTypes : types) >> segmentation.systemType) & 1) === 0) return false;
    if (isLong && segmentation.look(selector, true) !== "read") return false;
  }
  if (segmentation.isConforming) return true;
  return Math.max(registers.cpl, selector & SELECTOR.RPL) <= segmentation.dpl;
}

const lookUp =
  (types: number, longTypes: number, valueOf: (hart: SystemHart) => number): SystemSemantics =>
  (hart, decoded) => {
    const { operands, registers } = hart;
    if (!operands.read(decoded, 1)) return "faulted";
    const isVisible = inspect(hart, operands.valueLo & 0xffff, types, longTypes);
    if (isVisible === "faulted") return "faulted";
    registers.setZeroFlag(isVisible);
    if (isVisible) registers.writeGpr(decoded.operands[0].register, decoded.operandSize, valueOf(hart), 0);
    return "done";
  };

const lar = lookUp(LAR_TYPES, LAR_LONG_TYPES, ({ segmentation }) => segmentation.word(1) & 0x00ffff00);
const lsl = lookUp(LSL_TYPES, LSL_LONG_TYPES, ({ segmentation }) => segmentation.limit);

const verify =
  (isFit: (hart: SystemHart) => boolean): SystemSemantics =>
  (hart, decoded) => {
    const { operands, registers } = hart;
    if (!operands.read(decoded, 0)) return "faulted";
    const isVisible = inspect(hart, operands.valueLo & 0xffff, 0, 0);
    if (isVisible === "faulted") return "faulted";
    registers.setZeroFlag(isVisible && isFit(hart));
    return "done";
  };

const arpl: SystemSemantics = (hart, decoded) => {
  const { operands, registers } = hart;
  if (!operands.read(decoded, 1)) return "faulted";
  const required = operands.valueLo & SELECTOR.RPL;
  if (!operands.read(decoded, 0)) return "faulted";
  const selector = operands.valueLo;
  const isLower = (selector & SELECTOR.RPL) < required;
  if (isLower && !operands.write(decoded, 0, (selector & ~SELECTOR.RPL) | required, 0)) return "faulted";
  registers.setZeroFlag(isLower);
  return "done";
};

// --- The tables ----------------------------------------------------------------------------------------------------

/** For kernels alone: a guest's users may not learn where its tables are, with CR4.UMIP. */
export function isHidden({ registers }: SystemHart): boolean {
  return registers.cpl > 0 && (registers.get(CELL.cr4) & CR4.UMIP) !== 0;
}

const privileged =
  (semantics: SystemSemantics): SystemSemantics =>
  (hart, decoded) =>
    hart.registers.cpl === 0 ? semantics(hart, decoded) : isDone(hart.access.fail(VECTOR.GP));

const hideable =
  (semantics: SystemSemantics): SystemSemantics =>
  (hart, decoded) =>
    isHidden(hart) ? isDone(hart.access.fail(VECTOR.GP)) : semantics(hart, decoded);

const storeTable = (base: number, limit: number): SystemSemantics =>
  hideable(({ registers, operands }, decoded) => {
    const is64 = registers.codeMode === 64;
    const image = new Uint8Array(is64 ? 10 : 6);
    const view = new DataView(image.buffer);
    view.setUint16(0, registers.get(limit), true);
    view.setInt32(2, registers.get(base), true);
    if (is64) view.setInt32(6, registers.get(base + 4), true);
    return isDone(operands.writeMemory(decoded, image));
  });

const loadTable = (base: number, limit: number): SystemSemantics =>
  privileged(({ registers, operands, access }, decoded) => {
    const is64 = registers.codeMode === 64;
    const image = new Uint8Array(is64 ? 10 : 6);
    if (!operands.readMemory(decoded, image)) return "faulted";
    const view = new DataView(image.buffer);
    const hi = is64 ? view.getInt32(6, true) : 0;
    if (!isCanonical(hi)) return isDone(access.fail(VECTOR.GP));
    // In 32-bit code with 16-bit operands the base has 24 bits.
    const mask = !is64 && decoded.operandSize === 2 ? 0xffffff : -1;
    registers.setWords(base, view.getInt32(2, true) & mask, hi);
    registers.set(limit, view.getUint16(0, true));
    return "done";
  });

const storeSelector = (segment: number): SystemSemantics =>
  hideable(({ registers, operands }, decoded) =>
    isDone(operands.write(decoded, 0, registers.get(segmentSelector(segment)), 0)),
  );

const lldt = privileged(({ operands, segmentation }, decoded) =>
  isDone(operands.read(decoded, 0) && segmentation.loadLocalTable(operands.valueLo & 0xffff)),
);
const ltr = privileged(({ operands, segmentation }, decoded) =>
  isDone(operands.read(decoded, 0) && segmentation.loadTask(operands.valueLo & 0xffff)),
);

// --- Bases of fs and gs --------------------------------------------------------------------------------------------

const swapgs = privileged(({ registers }) => {
  const base = segmentBase(SEGMENT.gs);
  const { lo, hi } = registers.word(base);
  registers.setWords(base, registers.get(CELL.kernelGsBase), registers.get(CELL.kernelGsBase + 4));
  registers.setWords(CELL.kernelGsBase, lo, hi);
  return "done";
});

const hasBaseAccess = ({ registers }: SystemHart): boolean => (registers.get(CELL.cr4) & CR4.FSGSBASE) !== 0;

const readBase =
  (segment: number): SystemSemantics =>
  (hart, decoded) => {
    if (!hasBaseAccess(hart)) return "undefined";
    const { lo, hi } = hart.registers.word(segmentBase(segment));
    return isDone(hart.operands.write(decoded, 0, lo, hi));
  };

const writeBase =
  (segment: number): SystemSemantics =>
  (hart, decoded) => {
    if (!hasBaseAccess(hart)) return "undefined";
    const { operands, registers } = hart;
    operands.read(decoded, 0);
    if (!isCanonical(operands.valueHi)) return isDone(hart.access.fail(VECTOR.GP));
    registers.setWords(segmentBase(segment), operands.valueLo, operands.valueHi);
    return "done";
  };

export const segmentSemantics = {
  push: pushSegment,
  pop: popSegment,
  lds: loadPointer(SEGMENT.ds),
  les: loadPointer(SEGMENT.es),
  lss: loadPointer(SEGMENT.ss),
  lfs: loadPointer(SEGMENT.fs),
  lgs: loadPointer(SEGMENT.gs),
  lar,
  lsl,
  verr: verify(({ segmentation }) => segmentation.isReadable),
  verw: verify(({ segmentation }) => segmentation.isWritableData),
  arpl,
  sgdt: storeTable(CELL.gdtrBase, CELL.gdtrLimit),
  sidt: storeTable(CELL.idtrBase, CELL.idtrLimit),
  lgdt: loadTable(CELL.gdtrBase, CELL.gdtrLimit),
  lidt: loadTable(CELL.idtrBase, CELL.idtrLimit),
  sldt: storeSelector(LDTR),
  str: storeSelector(TR),
  lldt,
  ltr,
  swapgs,
  rdfsbase: readBase(SEGMENT.fs),
  rdgsbase: readBase(SEGMENT.gs),
  wrfsbase: writeBase(SEGMENT.fs),
  wrgsbase: writeBase(SEGMENT.gs),
} satisfies Record<string, SystemSemantics>;
