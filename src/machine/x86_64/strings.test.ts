/** String instructions through the instruction stream: Intel SDM volume 2, REP, MOVS, STOS, LODS, SCAS, CMPS. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { RFLAGS } from "../../isa/x86_64/registers.ts";
import { VECTOR } from "../../isa/x86_64/vectors.ts";
import { bench, PAGES, TIERS, type Bench, type TestTier } from "./testing.test.support.ts";

const LENGTH = 0x8000;

/** Random bytes in the pages, the same each time. */
function fill(b: Bench): Uint8Array {
  const bytes = new Uint8Array(LENGTH);
  let state = 12345;
  for (let i = 0; i < LENGTH; i++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    bytes[i] = state >>> 24;
  }
  b.machine.memory.write(PAGES, bytes);
  return bytes;
}

const registersOf = (b: Bench): number[] => [b.gpr("rsi") - PAGES, b.gpr("rdi") - PAGES, b.gpr("rcx")];

function run(tier: TestTier, instruction: string, rsi: number, rdi: number, rcx: number, before = ""): Bench {
  return bench(
    tier,
    `mov rsi, ${PAGES + rsi}\n mov rdi, ${PAGES + rdi}\n mov rcx, ${rcx}\n mov rax, 0x1122334455667788\n ${before}
     ${instruction}\n pushfq\n pop rbx\n cld\n jmp stop`,
  );
}

for (const tier of TIERS) {
  test(`${tier}: rep movs copies as though element by element, in both directions`, () => {
    const cases = [
      ["rep movsb", 1, 0x10, 0x1000, 100],
      ["rep movsb", 1, 0xf80, 0x2f81, 5000],
      ["rep movsb", 1, 0x10, 0x11, 3000],
      ["rep movsw", 2, 0x20, 0x23, 1000],
      ["rep movsq", 8, 0x24, 0x20, 1000],
      ["rep movsq", 8, 0x20, 0x24, 900],
      ["rep movsq", 8, 0xffc, 0x2ffd, 5],
      ["rep movsd", 4, 0x100, 0x2000, 0],
    ] as const;
    for (const [instruction, size, rsi, rdi, count] of cases) {
      for (const direction of [1, -1]) {
        const from = direction > 0 ? rsi : rsi + 0x1400;
        const to = direction > 0 ? rdi : rdi + 0x1400;
        const elements = direction > 0 ? count : Math.min(count, Math.floor(0x1400 / size));
        const b = run(tier, instruction, from, to, elements, direction > 0 ? "" : "std");
        const expected = fill(b);
        for (let i = 0; i < elements; i++) {
          const at = i * size * direction;
          const element = expected.slice(from + at, from + at + size);
          expected.set(element, to + at);
        }
        b.finish();
        const moved = elements * size * direction;
        const name = `${instruction} ${direction} ${rsi} ${rdi}`;
        assert.deepEqual(registersOf(b), [from + moved, to + moved, 0], name);
        assert.ok(Buffer.from(b.machine.memory.read(PAGES, LENGTH)).equals(expected), name);
      }
    }
  });

  test(`${tier}: rep stos fills, over the end of a page too`, () => {
    for (const [instruction, size] of [
      ["rep stosb", 1],
      ["rep stosw", 2],
      ["rep stosd", 4],
      ["rep stosq", 8],
    ] as const) {
      const b = run(tier, instruction, 0, 0xff3, 700);
      const expected = fill(b);
      const pattern = [0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11];
      for (let i = 0; i < 700; i++) expected.set(pattern.slice(0, size), 0xff3 + i * size);
      b.finish();
      assert.deepEqual(registersOf(b), [0, 0xff3 + 700 * size, 0]);
      assert.ok(Buffer.from(b.machine.memory.read(PAGES, LENGTH)).equals(expected), instruction);
    }
  });

  test(`${tier}: repne scas finds, and sets the flags of its last comparison`, () => {
    const b = run(tier, "repne scasb", 0, 0x10, 0x3000);
    b.machine.memory.fill(PAGES, LENGTH, 1);
    b.machine.memory.write8(PAGES + 0x1234, 0x88);
    b.finish();
    assert.deepEqual(registersOf(b), [0, 0x1235, 0x3000 - (0x1235 - 0x10)]);
    assert.equal(b.gpr("rbx") & RFLAGS.ZF, RFLAGS.ZF);
    const none = run(tier, "repne scasb", 0, 0x10, 0x20);
    none.machine.memory.fill(PAGES, LENGTH, 0x90);
    none.finish();
    assert.deepEqual(registersOf(none), [0, 0x30, 0]);
    // 0x88 - 0x90
    const flags = RFLAGS.CF | RFLAGS.SF | RFLAGS.ONE;
    assert.equal(none.gpr("rbx") & (flags | RFLAGS.ZF | RFLAGS.OF), flags);
  });

  test(`${tier}: repe cmps stops at the first difference, and a count of 0 leaves the flags`, () => {
    const b = run(tier, "repe cmpsd", 0x10, 0x2010, 0x600);
    b.machine.memory.fill(PAGES, LENGTH, 7);
    b.machine.memory.write8(PAGES + 0x2010 + 0x1007, 9);
    b.finish();
    assert.deepEqual(registersOf(b), [0x10 + 0x1008, 0x2010 + 0x1008, 0x600 - 0x402]);
    assert.equal(b.gpr("rbx") & (RFLAGS.CF | RFLAGS.ZF), RFLAGS.CF);
    const none = run(tier, "repe cmpsb", 0x10, 0x2010, 0, "cmp eax, eax\n stc");
    none.finish();
    assert.deepEqual(registersOf(none), [0x10, 0x2010, 0]);
    assert.equal(none.gpr("rbx") & (RFLAGS.CF | RFLAGS.ZF), RFLAGS.CF | RFLAGS.ZF);
  });

  test(`${tier}: without a prefix one element; lods loads it`, () => {
    const b = run(tier, "lodsw\n movsb\n stosd", 0x10, 0x30, 5);
    const bytes = fill(b);
    b.finish();
    assert.deepEqual(registersOf(b), [0x13, 0x35, 5]);
    const word = (bytes[0x10] ?? 0) | ((bytes[0x11] ?? 0) << 8);
    assert.equal(b.machine.memory.read32(PAGES + 0x31) >>> 0, 0x55660000 + word);
  });

  test(`${tier}: 32-bit addresses count in ecx, and clear the upper halves`, () => {
    const b = run(
      tier,
      ".byte 0x67\n rep movsb",
      0x10,
      0x2000,
      0x10,
      "mov r8, 0x500000000\n or rcx, r8\n or rsi, r8\n or rdi, r8",
    );
    const bytes = fill(b);
    b.finish();
    assert.deepEqual(registersOf(b), [0x20, 0x2010, 0]);
    assert.deepEqual([...b.machine.memory.read(PAGES + 0x2000, 16)], [...bytes.slice(0x10, 0x20)]);
  });

  test(`${tier}: a fault comes with all before it done`, () => {
    const b = run(tier, "rep movsb", 0x10, 0xf00, 0x1000);
    fill(b);
    b.setPage(PAGES + 0x1000, 0, 0);
    b.finish();
    assert.deepEqual(
      b.traps.map(({ cause, tval }) => [cause, tval]),
      [[VECTOR.PF, PAGES + 0x1000]],
    );
    assert.deepEqual(registersOf(b), [0x110, 0x1000, 0xf00]);
  });

  test(`${tier}: single-stepping stops after every element`, () => {
    const b = bench(
      tier,
      `mov rdi, ${PAGES}\n mov ecx, 3\n pushfq\n or dword ptr [rsp], 0x100\n popfq\n rep stosb
       pushfq\n and dword ptr [rsp], ~0x100\n popfq\n jmp stop\n catch_1: iretq`,
    );
    b.finish();
    assert.deepEqual(b.traps.map(({ pc }) => pc - (b.traps[0]?.pc ?? 0)).slice(0, 4), [0, 0, 2, 3]);
  });

  test(`${tier}: time goes on by eight elements a nanosecond`, () => {
    const timeOf = (count: number): number => {
      const b = run(tier, "rep stosb", 0, 0, count);
      b.finish();
      return b.machine.timeNs;
    };
    assert.equal(timeOf(0x801) - timeOf(1), 0x100);
  });
}
