/**
 * Comparisons of x87. The result is in C3, C2, C0 of the status word, or in ZF, PF, CF:
 *
 *                  C3 ZF   C2 PF   C0 CF
 *     greater      0       0       0
 *     less         0       0       1
 *     equal        1       0       0
 *     unordered    1       1       1
 *
 * Intel SDM volume 1, 8.3.6; volume 2, FCOM, FCOMI, FICOM, FTST, FUCOM, FXAM.
 */
import type { Decoded } from "../../isa/x86_64/decode-types.ts";
import { RFLAGS } from "../../isa/x86_64/registers.ts";
import { compare, type Order } from "../float/extended-arithmetic.ts";
import { Exception, type Extended, isNegative, kindOf, zero } from "../float/extended.ts";
import type { ExactRegisters, ExactX86 } from "./exact.ts";
import { CELL } from "./layout.ts";
import { isRealDenormal, memoryOperand, readInteger, readReal, settle, stackOperand, waiting } from "./x87-operands.ts";
import { environmentOf, faultStack, isEmpty, pop, readStack, STATUS } from "./x87-state.ts";

const CONDITIONS = STATUS.C0 | STATUS.C2 | STATUS.C3;

const STATUS_OF: Record<Order, number> = {
  greater: 0,
  less: STATUS.C0,
  equal: STATUS.C3,
  unordered: CONDITIONS,
};

const FLAGS_OF: Record<Order, number> = {
  greater: 0,
  less: RFLAGS.CF,
  equal: RFLAGS.ZF,
  unordered: RFLAGS.CF | RFLAGS.PF | RFLAGS.ZF,
};

interface Form {
  readonly nans: "quiet" | "signaling";
  readonly to: "status" | "flags";
  readonly pops: 0 | 1 | 2;
}

/** What st(0) is compared with; undefined where that register is empty. */
type Other = (registers: ExactRegisters, decoded: Decoded) => Extended | undefined;

const stackOther: Other = (registers, decoded) => {
  const index = stackOperand(decoded, 1);
  return isEmpty(registers, index) ? undefined : readStack(registers, index);
};
const realOther: Other = (registers, decoded) => {
  const memory = memoryOperand(decoded);
  return memory === undefined ? stackOther(registers, decoded) : readReal(registers, memory.size);
};
const integerOther: Other = (registers, decoded) => readInteger(registers, memoryOperand(decoded)?.size ?? 0);

function comparison(other: Other, { nans, to, pops }: Form): ExactX86 {
  return waiting((hart, decoded) => {
    const { registers } = hart;
    const env = environmentOf(registers);
    const second = other(registers, decoded);
    let order: Order = "unordered";
    let isComplete: boolean;
    if (second === undefined || isEmpty(registers, 0)) {
      isComplete = faultStack(hart, "underflow");
    } else {
      order = compare(env, readStack(registers, 0), second, nans);
      const isDenormal = other === realOther && isRealDenormal(registers, memoryOperand(decoded)?.size ?? 0);
      if (isDenormal && order !== "unordered") env.flags |= Exception.denormal;
      isComplete = settle(hart, env);
    }
    if (to === "flags") registers.setArithmeticFlags(FLAGS_OF[order]);
    else setConditions(registers, STATUS_OF[order]);
    for (let count = 0; isComplete && count < pops; count++) pop(registers);
    return "done";
  });
}

function setConditions(registers: ExactRegisters, conditions: number): void {
  registers.set(CELL.fpuStatus, (registers.get(CELL.fpuStatus) & ~CONDITIONS) | conditions);
}

/** Names what st(0) holds; C1 is its sign, even where it is empty. */
const fxam: ExactX86 = waiting(({ registers }) => {
  const value = readStack(registers, 0);
  const conditions = isEmpty(registers, 0) ? STATUS.C3 | STATUS.C0 : CLASS_OF[kindOf(value)];
  setConditions(registers, conditions);
  const status = registers.get(CELL.fpuStatus) & ~STATUS.C1;
  registers.set(CELL.fpuStatus, isNegative(value) ? status | STATUS.C1 : status);
  return "done";
});

const CLASS_OF: Record<ReturnType<typeof kindOf>, number> = {
  unsupported: 0,
  nan: STATUS.C0,
  normal: STATUS.C2,
  infinity: STATUS.C2 | STATUS.C0,
  zero: STATUS.C3,
  denormal: STATUS.C3 | STATUS.C2,
};

export const compareSemantics = {
  fcom: comparison(realOther, { nans: "signaling", to: "status", pops: 0 }),
  fcomp: comparison(realOther, { nans: "signaling", to: "status", pops: 1 }),
  fcompp: comparison(stackOther, { nans: "signaling", to: "status", pops: 2 }),
  ficom: comparison(integerOther, { nans: "signaling", to: "status", pops: 0 }),
  ficomp: comparison(integerOther, { nans: "signaling", to: "status", pops: 1 }),
  ftst: comparison(() => zero(false), { nans: "signaling", to: "status", pops: 0 }),
  fucom: comparison(stackOther, { nans: "quiet", to: "status", pops: 0 }),
  fucomp: comparison(stackOther, { nans: "quiet", to: "status", pops: 1 }),
  fucompp: comparison(stackOther, { nans: "quiet", to: "status", pops: 2 }),
  fcomi: comparison(stackOther, { nans: "signaling", to: "flags", pops: 0 }),
  fcomip: comparison(stackOther, { nans: "signaling", to: "flags", pops: 1 }),
  fucomi: comparison(stackOther, { nans: "quiet", to: "flags", pops: 0 }),
  fucomip: comparison(stackOther, { nans: "quiet", to: "flags", pops: 1 }),
  fxam,
} satisfies Record<string, ExactX86>;
