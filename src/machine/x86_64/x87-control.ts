/**
 * Instructions that control the x87: its words, its environment, its whole state.
 *
 *     fnstenv    14 or 28 bytes: control, status and tag word, pointers        fnsave    the same, and the eight registers: 94 or 108
 *
 * Those whose names begin with "fn" do not wait for pending exceptions. Intel SDM volume 1, 8.1 and 8.3.11; volume 2, FLDCW, FLDENV,
 * FNSAVE, FRSTOR, FNCLEX, FNINIT, FFREE, FINCSTP, WAIT.
 */
import type { Decoded } from "../../isa/x86_64/decode-types.ts";
import type { ExactX86 } from "./exact.ts";
import { CELL } from "./layout.ts";
import { memoryOperand, stackOperand, waiting, waitingControl } from "./x87-operands.ts";
import {
  accrue,
  CONTROL,
  initialize,
  packEnvironment,
  packRegisters,
  pop,
  refreshSummary,
  setControl,
  setEmpty,
  setTop,
  STATUS,
  topOf,
  unpackEnvironment,
  unpackRegisters,
} from "./x87-state.ts";

const REGISTER_FILE_BYTES = 80;

/** Bytes of each field of an environment. */
const widthOf = (decoded: Decoded): 2 | 4 => (decoded.operandSize === 2 ? 2 : 4);
const environmentBytes = (width: 2 | 4): number => width * 7;

const fnstenv: ExactX86 = (hart, decoded) => {
  const { registers } = hart;
  const width = widthOf(decoded);
  const image = new Uint8Array(environmentBytes(width));
  packEnvironment(registers, new DataView(image.buffer), width);
  if (!hart.writeMemory(decoded, image)) return "faulted";
  registers.set(CELL.fpuControl, registers.get(CELL.fpuControl) | CONTROL.MASKS);
  refreshSummary(registers);
  return "done";
};

const fldenv: ExactX86 = waitingControl((hart, decoded) => {
  const width = widthOf(decoded);
  const image = new Uint8Array(environmentBytes(width));
  if (!hart.readMemory(decoded, image)) return "faulted";
  unpackEnvironment(hart.registers, new DataView(image.buffer), width);
  return "done";
});

const fnsave: ExactX86 = (hart, decoded) => {
  const { registers } = hart;
  const width = widthOf(decoded);
  const offset = environmentBytes(width);
  const image = new Uint8Array(offset + REGISTER_FILE_BYTES);
  const view = new DataView(image.buffer);
  packEnvironment(registers, view, width);
  packRegisters(registers, view, offset);
  if (!hart.writeMemory(decoded, image)) return "faulted";
  initialize(registers);
  return "done";
};

const frstor: ExactX86 = waitingControl((hart, decoded) => {
  const width = widthOf(decoded);
  const offset = environmentBytes(width);
  const image = new Uint8Array(offset + REGISTER_FILE_BYTES);
  if (!hart.readMemory(decoded, image)) return "faulted";
  const view = new DataView(image.buffer);
  unpackEnvironment(hart.registers, view, width);
  unpackRegisters(hart.registers, view, offset);
  return "done";
});

const fnstsw: ExactX86 = ({ registers }, decoded) => {
  const status = registers.get(CELL.fpuStatus);
  if (memoryOperand(decoded) === undefined) {
    const rax = registers.get(CELL.gpr);
    registers.set(CELL.gpr, (rax & ~0xffff) | status);
  } else registers.set(CELL.operand, status);
  return "done";
};

/** Turns the stack by one without touching what it holds. */
const turn = (by: number): ExactX86 =>
  waiting((hart) => {
    accrue(hart, 0, false);
    setTop(hart.registers, topOf(hart.registers) + by);
    return "done";
  });

const free = (after: "keep" | "pop"): ExactX86 =>
  waiting((hart, decoded) => {
    const { registers } = hart;
    accrue(hart, 0, false);
    setEmpty(registers, stackOperand(decoded, 0));
    if (after === "pop") pop(registers);
    return "done";
  });

export const controlSemantics = {
  fninit: ({ registers }) => {
    initialize(registers);
    return "done";
  },
  fnclex: ({ registers }) => {
    const cleared = STATUS.EXCEPTIONS | STATUS.SF | STATUS.ES | STATUS.BUSY;
    registers.set(CELL.fpuStatus, registers.get(CELL.fpuStatus) & ~cleared);
    return "done";
  },
  fldcw: waitingControl(({ registers }) => {
    setControl(registers, registers.get(CELL.operand));
    return "done";
  }),
  fnstcw: ({ registers }) => {
    registers.set(CELL.operand, registers.get(CELL.fpuControl));
    return "done";
  },
  fnstsw,
  fldenv,
  fnstenv,
  fnsave,
  frstor,
  ffree: free("keep"),
  ffreep: free("pop"),
  fincstp: turn(1),
  fdecstp: turn(-1),
  fnop: waiting(() => "done"),
  fwait: waitingControl(() => "done"),
} satisfies Record<string, ExactX86>;
