/**
 * What MMX and SSE instructions need, on both tiers: state that CR0 and CR4 grant, aligned memory, masked exceptions; and what they do to
 * the state that they share with x87. Intel SDM volume 2, 2.4 (exception classes), volume 1, 9.5 (MMX and x87), 11.6.8.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { CR0, CR4, GPR, MXCSR } from "../../src/isa/x86_64/registers.ts";
import { VECTOR } from "../../src/isa/x86_64/vectors.ts";
import { type CodeMachine, createCodeMachine, MEMORY } from "../oracle/x86-machine.ts";

const BASE_CR0 = CR0.PE | CR0.PG | CR0.ET | CR0.MP | CR0.NE;
const BASE_CR4 = CR4.PAE | CR4.OSFXSR | CR4.OSXMMEXCPT;
/** Offsets in the FXSAVE64 image. SDM volume 1, 10.5.1. */
const IMAGE = { status: 2, tags: 4, mxcsr: 24, registers: 32, xmm: 160 } as const;

interface Float {
  readonly mxcsr?: number;
  readonly control?: number;
  readonly status?: number;
  readonly tags?: number;
  readonly xmm?: readonly (readonly [n: number, bytes: Uint8Array])[];
}

function setFloat(
  machine: CodeMachine,
  { mxcsr = MXCSR.RESET, control = 0x37f, status = 0, tags = 0, xmm = [] }: Float,
): void {
  const image = new Uint8Array(512);
  const view = new DataView(image.buffer);
  view.setUint16(0, control, true);
  view.setUint16(IMAGE.status, status, true);
  image[IMAGE.tags] = tags;
  view.setUint32(IMAGE.mxcsr, mxcsr, true);
  for (const [n, bytes] of xmm) image.set(bytes, IMAGE.xmm + 16 * n);
  machine.hart.loadFloat(image);
}

function floatOf(machine: CodeMachine): DataView {
  const image = new Uint8Array(512);
  machine.hart.saveFloat(image);
  return new DataView(image.buffer);
}

const doubles = (...values: readonly number[]): Uint8Array => new Uint8Array(Float64Array.from(values).buffer);

for (const tier of ["run", "step"] as const) {
  const title = (text: string): string => `${text} (${tier})`;

  test(title("without OSFXSR, or with EM, SSE is undefined; with TS it is not there yet"), () => {
    const sse = ["paddb xmm1, xmm2", "movaps xmm1, [rsi]", "addsd xmm1, xmm2", "ldmxcsr [rsi]", "dpps xmm1, xmm2, 255"];
    const machine = createCodeMachine(tier, sse);
    for (const instruction of sse) {
      machine.memory.write32(MEMORY, MXCSR.RESET);
      const outcome = (cr0: number, cr4: number): number | undefined => {
        machine.hart.setSystemRegister("cr0", BASE_CR0 | cr0, 0);
        machine.hart.setSystemRegister("cr4", cr4, 0);
        return machine.execute(instruction);
      };
      assert.equal(outcome(0, BASE_CR4), undefined, instruction);
      assert.equal(outcome(0, BASE_CR4 & ~CR4.OSFXSR), VECTOR.UD, instruction);
      assert.equal(outcome(CR0.EM, BASE_CR4), VECTOR.UD, instruction);
      assert.equal(outcome(CR0.TS, BASE_CR4), VECTOR.NM, instruction);
      assert.equal(outcome(CR0.TS | CR0.EM, BASE_CR4), VECTOR.UD, instruction);
    }
  });

  test(title("MMX needs no OSFXSR, and waits for x87's exceptions"), () => {
    const mmx = ["paddb mm0, mm1", "movd mm0, eax", "emms", "movq [rsi], mm0"];
    const machine = createCodeMachine(tier, mmx);
    machine.hart.setSystemRegister("cr4", CR4.PAE, 0);
    for (const instruction of mmx) {
      const outcome = (cr0: number, x87: Float): number | undefined => {
        machine.hart.setSystemRegister("cr0", BASE_CR0, 0);
        setFloat(machine, x87);
        machine.hart.setSystemRegister("cr0", BASE_CR0 | cr0, 0);
        return machine.execute(instruction);
      };
      assert.equal(outcome(0, {}), undefined, instruction);
      assert.equal(outcome(CR0.EM, {}), VECTOR.UD, instruction);
      assert.equal(outcome(CR0.TS, {}), VECTOR.NM, instruction);
      // IE, ES and B with invalid operations unmasked.
      assert.equal(outcome(0, { control: 0x37e, status: 0x8081 }), VECTOR.MF, instruction);
    }
  });

  test(title("memory of 16 bytes must be aligned, but for moves that say otherwise"), () => {
    const strict = [
      "paddb xmm1, [rsi+8]",
      "movaps xmm1, [rsi+8]",
      "movdqa [rsi+4], xmm1",
      "movntps [rsi+8], xmm1",
      "addpd xmm1, [rsi+8]",
      "cvtdq2ps xmm1, [rsi+1]",
      "pshufd xmm1, [rsi+8], 0",
      "psllw xmm1, [rsi+8]",
      "dppd xmm1, [rsi+8], 255",
    ];
    const lenient = [
      "movups xmm1, [rsi+1]",
      "movdqu [rsi+1], xmm1",
      "lddqu xmm1, [rsi+3]",
      "pcmpistri xmm1, [rsi+1], 0",
      "cvtdq2pd xmm1, [rsi+1]",
      "movsd xmm1, [rsi+1]",
      "addsd xmm1, [rsi+1]",
      "pmovsxbw xmm1, [rsi+1]",
      "paddb mm0, [rsi+1]",
    ];
    const machine = createCodeMachine(tier, [...strict, ...lenient]);
    setFloat(machine, {});
    for (const instruction of strict) assert.equal(machine.execute(instruction), VECTOR.GP, instruction);
    for (const instruction of lenient) assert.equal(machine.execute(instruction), undefined, instruction);
  });

  test(title("an unmasked exception sets its flag and nothing else, and needs OSXMMEXCPT"), () => {
    const instruction = "divpd xmm1, xmm2";
    const machine = createCodeMachine(tier, [instruction]);
    const operands: Float["xmm"] = [
      [1, doubles(1, 2)],
      [2, doubles(0, 3)],
    ];
    const mxcsr = MXCSR.RESET & ~(MXCSR.ZE << MXCSR.MASK_SHIFT);
    for (const [cr4, vector] of [
      [BASE_CR4, VECTOR.XM],
      [BASE_CR4 & ~CR4.OSXMMEXCPT, VECTOR.UD],
    ] as const) {
      machine.hart.setSystemRegister("cr4", cr4, 0);
      setFloat(machine, { mxcsr, xmm: operands });
      assert.equal(machine.execute(instruction), vector);
      const after = floatOf(machine);
      assert.equal(after.getUint32(IMAGE.mxcsr, true), mxcsr | MXCSR.ZE);
      assert.equal(after.getFloat64(IMAGE.xmm + 24, true), 2);
    }
    setFloat(machine, { xmm: operands });
    assert.equal(machine.execute(instruction), undefined);
    const after = floatOf(machine);
    assert.equal(after.getUint32(IMAGE.mxcsr, true), MXCSR.RESET | MXCSR.ZE | MXCSR.PE);
    assert.deepEqual(
      [after.getFloat64(IMAGE.xmm + 16, true), after.getFloat64(IMAGE.xmm + 24, true)],
      [Infinity, 2 / 3],
    );
  });

  test(title("ldmxcsr takes the bits that there are, and changes how the next instruction rounds"), () => {
    const machine = createCodeMachine(tier, ["ldmxcsr [rsi]", "stmxcsr [rsi]", "addsd xmm1, xmm2"]);
    machine.memory.write32(MEMORY, 0x10000 | MXCSR.RESET);
    assert.equal(machine.execute("ldmxcsr [rsi]"), VECTOR.GP);
    const sums: number[] = [];
    for (let rounding = 0; rounding < 4; rounding++) {
      setFloat(machine, {
        xmm: [
          [1, doubles(1, 5)],
          [2, doubles(2 ** -60, 7)],
        ],
      });
      machine.memory.write32(MEMORY, MXCSR.RESET | (rounding << MXCSR.ROUNDING_SHIFT));
      assert.equal(machine.execute("ldmxcsr [rsi]"), undefined);
      assert.equal(machine.execute("addsd xmm1, xmm2"), undefined);
      assert.equal(machine.execute("stmxcsr [rsi]"), undefined);
      assert.equal(machine.memory.read32(MEMORY), MXCSR.RESET | (rounding << MXCSR.ROUNDING_SHIFT) | MXCSR.PE);
      sums.push(floatOf(machine).getFloat64(IMAGE.xmm + 16, true));
    }
    assert.deepEqual(sums, [1, 1, 1 + 2 ** -52, 1]);
  });

  test(title("MMX instructions make x87's registers valid and its top 0; emms empties them"), () => {
    const machine = createCodeMachine(tier, ["movd mm3, eax", "movq [rsi], mm3", "emms", "cvtpi2ps xmm1, mm3"]);
    const check = (instruction: string, tags: number): void => {
      setFloat(machine, { status: 5 << 11 });
      assert.equal(machine.execute(instruction), undefined);
      const after = floatOf(machine);
      assert.equal(after.getUint16(IMAGE.status, true) & (7 << 11), 0, instruction);
      assert.equal(after.getUint8(IMAGE.tags), tags, instruction);
    };
    machine.hart.setGpr(GPR.rax, 0x12345678, -1);
    check("movd mm3, eax", 0xff);
    const registers = floatOf(machine);
    const third = IMAGE.registers + 3 * 16;
    assert.equal(registers.getBigUint64(third, true), 0x12345678n);
    assert.equal(registers.getUint16(third + 8, true), 0xffff);
    check("movq [rsi], mm3", 0xff);
    check("cvtpi2ps xmm1, mm3", 0xff);
    check("emms", 0);
  });
}
