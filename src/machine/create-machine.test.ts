/** The loop that shares time: limits, events, idleness, stops, and fairness among harts. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { assemble } from "../isa/riscv64/assembler.ts";
import type { Device } from "./bus.ts";
import { createMachine } from "./create-machine.ts";
import type { Machine } from "./machine.ts";
import { riscv64Processor } from "./riscv64/engine.ts";
import type { RiscvHart } from "./riscv64/hart.ts";

const RAM = 0x8000_0000;

function machineWith(source: string, harts = 1): Machine<RiscvHart> {
  const machine = createMachine({ processor: riscv64Processor, ramBase: RAM, ramSize: 1 << 20, harts });
  machine.memory.write(RAM, assemble(source, { base: RAM }).bytes);
  return machine;
}

/** A device at 0x1000 that notes its events, and raises MEI for tag 1. */
function recorder(machine: Machine, log: string[]): Device {
  return {
    name: "recorder",
    base: 0x1000,
    size: 16,
    state: {},
    load: () => false,
    store: (offset, _size, lo) => {
      if (offset === 0) machine.services.halt("power-off", lo);
      else if (offset === 4) machine.services.schedule(machine.timeNs + lo, "recorder", 1);
      else machine.services.setInterrupt(0, 11, false);
      return true;
    },
    onEvent: (tag, atNs) => {
      log.push(`${tag}@${atNs}`);
      if (tag === 1) machine.services.setInterrupt(0, 11, true);
    },
  };
}

const FOREVER = "1: j 1b";
const WAITING = "csrw mie, zero\n1: wfi\nj 1b";

test("an instruction limit ends the run, and the next one goes on", () => {
  const machine = machineWith(FOREVER);
  assert.deepEqual(machine.run({ instructions: 1000 }), { kind: "budget" });
  assert.equal(machine.harts[0]?.instructionsRetired, 1000);
  assert.deepEqual(machine.run({ instructions: 1 }), { kind: "budget" });
  assert.equal(machine.harts[0]?.instructionsRetired, 1001);
});

test("a time limit ends the run, and idle harts skip to it", () => {
  const busy = machineWith(FOREVER);
  assert.deepEqual(busy.run({ untilNs: 5000 }), { kind: "budget" });
  assert.equal(busy.timeNs, 5000);
  const idle = machineWith(WAITING);
  assert.deepEqual(idle.run({ untilNs: 5000 }), { kind: "idle", nextEventNs: undefined });
  assert.equal(idle.timeNs, 5000);
  assert.ok((idle.harts[0]?.instructionsRetired ?? 0) < 10);
});

test("events fire in order of time, one for each tag, and wake whom they interrupt", () => {
  const machine = machineWith(`
      li t0, 0x800
      csrw mie, t0
      wfi
      li a0, 1
      li t1, 0x1000
      sw zero, (t1)
    1: j 1b`);
  const log: string[] = [];
  machine.attach(recorder(machine, log));
  const { schedule, cancel } = machine.services;
  schedule(300, "recorder", 2);
  schedule(100, "recorder", 1);
  schedule(900, "recorder", 3);
  schedule(200, "recorder", 3);
  schedule(50, "recorder", 4);
  cancel("recorder", 4);
  schedule(1_000_000, "recorder", 5);
  assert.deepEqual(machine.run({}), { kind: "halted", reason: "power-off", status: 0 });
  assert.deepEqual(log, ["1@100"]);
  assert.ok(machine.timeNs < 120, `${machine.timeNs}`);
});

test("an event that is asked for while running comes at its time", () => {
  const machine = machineWith(`
      la t0, handler
      csrw mtvec, t0
      li t0, 0x800
      csrw mie, t0
      csrsi mstatus, 8
      li t1, 0x1000
      li t0, 2000
      sw t0, 4(t1)
      rdcycle s0
    1: addi a0, a0, 1
      j 1b
      .balign 4
    handler:
      rdcycle s1
      sw zero, (t1)
    2: j 2b`);
  machine.attach(recorder(machine, []));
  assert.equal(machine.run({ instructions: 100_000 }).kind, "halted");
  const hart = machine.harts[0];
  const late = (hart?.x(9) ?? 0) - (hart?.x(8) ?? 0) - 2000;
  assert.ok(late >= -2 && late < 8, `late by ${late}`);
});

test("idleness tells when the next event is, beyond the limit", () => {
  const machine = machineWith(WAITING);
  machine.attach(recorder(machine, []));
  machine.services.schedule(10_000, "recorder", 2);
  assert.deepEqual(machine.run({ untilNs: 4000 }), { kind: "idle", nextEventNs: 10_000 });
  assert.equal(machine.timeNs, 4000);
  assert.deepEqual(machine.run({}), { kind: "idle", nextEventNs: undefined });
  assert.equal(machine.timeNs, 10_000);
});

test("a stop is asked for from a kernel entry, and the run can go on", () => {
  const machine = machineWith(`
      li t0, -1
      csrw pmpaddr0, t0
      li t0, 0x1f
      csrw pmpcfg0, t0
      li t0, 0x800
      csrs mstatus, t0
      la t0, kernel
      csrw mepc, t0
      mret
    kernel:
      kentry 0
      addi a0, a0, 1
      j kernel`);
  machine.bindKernel({ text: { start: RAM, end: RAM + 0x1000 }, enter: () => machine.requestStop() });
  for (let round = 0; round < 5; round++) {
    assert.deepEqual(machine.run({ instructions: 1000 }), { kind: "stopped" });
    assert.equal(machine.harts[0]?.x(10), round);
  }
});

test("what a device or kernel throws comes out of run, and leaves the machine usable", () => {
  const machine = machineWith("li t0, 0x1000\nlw t1, (t0)\n1: j 1b");
  machine.attach({
    name: "bad",
    base: 0x1000,
    size: 4,
    state: {},
    load: () => {
      throw new Error("device bug");
    },
    store: () => true,
  });
  assert.throws(() => machine.run({ instructions: 100 }), /device bug/);
  assert.equal(machine.harts[0]?.pc, RAM + 4, "the instruction has not been executed");
  machine.harts[0]?.setPc(RAM + 8);
  assert.deepEqual(machine.run({ instructions: 100 }), { kind: "budget" });
});

test("harts get the same time, and the same run comes out again", () => {
  const source = `
      csrr s0, mhartid
      addi s0, s0, 1
    1: add a0, a0, s0
      addi s1, s1, -1
      bnez s1, 1b
      j 1b`;
  const run = (): string => {
    const machine = machineWith(source, 3);
    for (let slice = 0; slice < 20; slice++) machine.run({ instructions: 12_345 });
    const counts = machine.harts.map((hart) => hart.instructionsRetired);
    assert.ok(Math.max(...counts) - Math.min(...counts) < 20_000, counts.join());
    return JSON.stringify([counts, machine.harts.map((hart) => [hart.pc, hart.x(10)]), machine.timeNs]);
  };
  assert.equal(run(), run());
});

test("absurd machines are refused", () => {
  const make =
    (ramSize: number, harts: number): (() => Machine) =>
    () =>
      createMachine({ processor: riscv64Processor, ramBase: RAM, ramSize, harts });
  for (const harts of [0, -1, 9, 1.5, Number.NaN]) assert.throws(make(1 << 20, harts), RangeError, `${harts} harts`);
  for (const size of [0, -4096, 4095, 2 ** 40, Number.NaN]) assert.throws(make(size, 1), RangeError, `${size} bytes`);
});

test("RAM and devices may not overlap, and names are unique", () => {
  const machine = machineWith(FOREVER);
  const device = (name: string, base: number): Device => ({
    name,
    base,
    size: 4096,
    state: {},
    load: () => true,
    store: () => true,
  });
  machine.attach(device("a", 0x1000));
  assert.throws(() => machine.attach(device("a", 0x8000)), /two devices/);
  assert.throws(() => machine.attach(device("b", 0x1800)), /overlaps a/);
  assert.throws(() => machine.attach(device("c", RAM)), /overlaps RAM/);
});
