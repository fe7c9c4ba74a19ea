/** Local APICs through their registers: priorities, messages between harts, the timer, errors. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createFakeMachine, load, store, type FakeMachine } from "../fake-services.test.support.ts";
import { restoreDevices, saveDevices } from "../snapshot.ts";
import { createLocalApics, type LocalApics } from "./local-apic.ts";

const REG = {
  id: 0x20,
  version: 0x30,
  taskPriority: 0x80,
  processorPriority: 0xa0,
  eoi: 0xb0,
  logical: 0xd0,
  format: 0xe0,
  spurious: 0xf0,
  isr: 0x100,
  tmr: 0x180,
  irr: 0x200,
  errors: 0x280,
  command: 0x300,
  destination: 0x310,
  timer: 0x320,
  lint0: 0x350,
  error: 0x370,
  initial: 0x380,
  current: 0x390,
  divide: 0x3e0,
} as const;

const INTR = 0;
const NMI = 1;
const INIT = 2;
const SIPI = 3;
const PERIODIC = 1 << 17;
const DEADLINE = 2 << 17;
const MASKED = 1 << 16;
const DIVIDE_BY_1 = 11;

interface Bench {
  readonly machine: FakeMachine;
  readonly apics: LocalApics;
  readonly ended: number[];
  readonly enabled: { count: number };
}

function bench(harts = 3): Bench {
  const machine = createFakeMachine();
  const ended: number[] = [];
  const enabled = { count: 0 };
  const apics = createLocalApics({
    base: 0,
    harts,
    services: machine,
    endOfInterrupt: (vector) => ended.push(vector),
    onEnabled: () => enabled.count++,
  });
  machine.devices.push(apics);
  for (let hart = 0; hart < harts; hart++) {
    machine.runOn(hart);
    store(apics, REG.spurious, 0x1ff);
  }
  machine.runOn(0);
  return { machine, apics, ended, enabled };
}

const fixed = (vector: number, destination: number, isLevel = false) =>
  ({ vector, delivery: "fixed", destination, isLogical: false, isLevel }) as const;

const send = ({ apics }: Bench, low: number, destination = 0): void => {
  store(apics, REG.destination, destination * 2 ** 24);
  store(apics, REG.command, low);
};

test("each hart sees its own registers", () => {
  const { machine, apics } = bench();
  machine.runOn(2);
  assert.equal(load(apics, REG.id), 2 << 24);
  assert.equal(load(apics, REG.version) & 0xff, 0x14);
  store(apics, REG.taskPriority, 0x35);
  machine.runOn(1);
  assert.equal(load(apics, REG.taskPriority), 0);
  assert.equal(apics.port(2).taskPriority(), 3);
});

test("interrupts are taken by priority, nest, and end in order", () => {
  const { machine, apics } = bench();
  const port = apics.port(0);
  apics.deliver(fixed(0x41, 0));
  assert.deepEqual([...machine.interrupts], [`0.${INTR}`]);
  apics.deliver(fixed(0x52, 0));
  assert.equal(port.pendingVector(), 0x52);
  port.acknowledge(0x52);
  assert.equal(port.pendingVector(), -1, "0x41 is of a lower class");
  assert.deepEqual([...machine.interrupts], []);
  assert.equal(load(apics, REG.processorPriority), 0x50);
  assert.equal(load(apics, REG.isr + 0x20), 1 << 18);
  assert.equal(load(apics, REG.irr + 0x20), 1 << 1);
  apics.deliver(fixed(0x5f, 0));
  assert.equal(port.pendingVector(), -1, "the same class does not nest");
  apics.deliver(fixed(0x60, 0));
  port.acknowledge(port.pendingVector());
  store(apics, REG.eoi, 0);
  assert.equal(port.pendingVector(), -1);
  store(apics, REG.eoi, 0);
  assert.equal(port.pendingVector(), 0x5f);
  port.acknowledge(0x5f);
  store(apics, REG.eoi, 0);
  assert.equal(port.pendingVector(), 0x41);
});

test("the task priority, which CR8 shares, holds interrupts back", () => {
  const { machine, apics } = bench();
  const port = apics.port(0);
  port.setTaskPriority(4);
  assert.equal(load(apics, REG.taskPriority), 0x40);
  apics.deliver(fixed(0x4f, 0));
  assert.deepEqual([...machine.interrupts], []);
  apics.deliver(fixed(0x50, 0));
  assert.equal(port.pendingVector(), 0x50);
  store(apics, REG.taskPriority, 0x55);
  assert.equal(port.pendingVector(), -1);
  assert.equal(load(apics, REG.processorPriority), 0x55);
  store(apics, REG.taskPriority, 0);
  assert.deepEqual([...machine.interrupts], [`0.${INTR}`]);
});

test("only a level-triggered interrupt's end is told to the I/O APIC", () => {
  const { apics, ended } = bench();
  const port = apics.port(0);
  for (const [vector, isLevel] of [
    [0x40, false],
    [0x41, true],
  ] as const) {
    apics.deliver(fixed(vector, 0, isLevel));
    port.acknowledge(vector);
    assert.equal(load(apics, REG.tmr + 0x20), isLevel ? 2 : 0);
    store(apics, REG.eoi, 0);
  }
  assert.deepEqual(ended, [0x41]);
  store(apics, REG.eoi, 0);
});

test("messages reach whom their destination names", () => {
  const vectorOf = (b: Bench): number[] => [0, 1, 2].map((hart) => b.apics.port(hart).pendingVector());
  const cases: readonly [string, number, number, readonly boolean[]][] = [
    ["physical", 0, 1, [false, true, false]],
    ["physical, all", 0, 0xff, [true, true, true]],
    ["physical, nobody", 0, 7, [false, false, false]],
    ["logical, flat", 1 << 11, 0b101, [true, false, true]],
    ["self", 1 << 18, 0, [true, false, false]],
    ["all", 2 << 18, 0, [true, true, true]],
    ["all but self", 3 << 18, 0, [false, true, true]],
  ];
  for (const [name, low, destination, reached] of cases) {
    const b = bench();
    for (let hart = 0; hart < 3; hart++) {
      b.machine.runOn(hart);
      store(b.apics, REG.logical, 2 ** (24 + hart));
    }
    b.machine.runOn(0);
    send(b, 0x4040 | low, destination);
    assert.deepEqual(
      vectorOf(b),
      reached.map((is) => (is ? 0x40 : -1)),
      name,
    );
  }
});

test("logical destinations in the cluster model", () => {
  const b = bench();
  [0x11, 0x12, 0x21].forEach((logical, hart) => {
    b.machine.runOn(hart);
    store(b.apics, REG.format, 0x0fff_ffff);
    store(b.apics, REG.logical, logical * 2 ** 24);
  });
  b.machine.runOn(0);
  const reached = (destination: number): number[] => {
    send(b, 0x4830, destination);
    return [0, 1, 2].filter((hart) => {
      const port = b.apics.port(hart);
      const isPending = port.pendingVector() >= 0;
      if (isPending) port.acknowledge(0x30);
      b.machine.runOn(hart);
      store(b.apics, REG.eoi, 0);
      b.machine.runOn(0);
      return isPending;
    });
  };
  assert.deepEqual(reached(0x13), [0, 1]);
  assert.deepEqual(reached(0x21), [2]);
  assert.deepEqual(reached(0xf1), [0, 2]);
  assert.deepEqual(reached(0x2e), []);
});

test("lowest priority goes to the hart that does the least important work", () => {
  const b = bench();
  b.apics.port(0).setTaskPriority(3);
  b.apics.port(1).setTaskPriority(2);
  b.apics.port(2).setTaskPriority(2);
  send(b, 0x4150, 0xff);
  assert.deepEqual(
    [0, 1, 2].map((hart) => b.apics.port(hart).pendingVector()),
    [-1, 0x50, -1],
  );
});

test("NMI, INIT and start-up are edges for the hart to take", () => {
  const b = bench();
  send(b, 0x4400, 1);
  send(b, 0x4500, 2);
  send(b, 0x4608, 2);
  assert.deepEqual([...b.machine.interrupts], [`1.${NMI}`, `2.${INIT}`, `2.${SIPI}`]);
  assert.equal(b.apics.port(2).startVector(), 8);
  b.machine.runOn(2);
  assert.equal(load(b.apics, REG.spurious), 0xff, "INIT resets the APIC");
  b.machine.runOn(0);
  b.machine.interrupts.clear();
  send(b, 0x8500, 2);
  assert.deepEqual([...b.machine.interrupts], [], "INIT level de-assert does nothing");
});

test("an APIC disabled by software takes no vectors, and its table is masked", () => {
  const b = bench();
  store(b.apics, REG.timer, 0x40);
  store(b.apics, REG.spurious, 0xff);
  assert.equal(load(b.apics, REG.timer), 0x40 | MASKED);
  store(b.apics, REG.timer, 0x40);
  assert.equal(load(b.apics, REG.timer), 0x40 | MASKED);
  assert.equal(b.apics.deliver(fixed(0x50, 0)), false);
  send(b, 0x4400, 0);
  assert.deepEqual([...b.machine.interrupts], [`0.${NMI}`]);
  store(b.apics, REG.spurious, 0x1ff);
  store(b.apics, REG.spurious, 0x1fe);
  assert.equal(b.enabled.count, 4, "three at first, then this one again");
});

test("an APIC that is off has no registers", () => {
  const b = bench();
  b.apics.port(0).setGlobalEnable(false);
  assert.throws(() => load(b.apics, REG.id), /access fault/);
  b.machine.runOn(1);
  assert.equal(load(b.apics, REG.id), 1 << 24);
  b.machine.runOn(0);
  b.apics.port(0).setGlobalEnable(true);
  assert.equal(load(b.apics, REG.spurious), 0xff);
});

test("the one-shot timer counts down, divided, and interrupts once", () => {
  const { machine, apics } = bench();
  store(apics, REG.timer, 0x40);
  store(apics, REG.divide, 3);
  store(apics, REG.initial, 100);
  machine.advance(160);
  assert.equal(load(apics, REG.current), 90);
  machine.advance(1599);
  assert.deepEqual([...machine.interrupts], []);
  machine.advance(1600);
  assert.deepEqual([...machine.interrupts], [`0.${INTR}`]);
  assert.equal(apics.port(0).pendingVector(), 0x40);
  assert.equal(load(apics, REG.current), 0);
  assert.deepEqual(machine.pendingEvents(), []);
});

test("the periodic timer comes again and again, until its count is 0", () => {
  const { machine, apics } = bench();
  const port = apics.port(0);
  store(apics, REG.timer, 0x40 | PERIODIC);
  store(apics, REG.divide, DIVIDE_BY_1);
  store(apics, REG.initial, 5000);
  for (let tick = 1; tick <= 3; tick++) {
    machine.advance(tick * 5000);
    assert.equal(port.pendingVector(), 0x40, `tick ${tick}`);
    port.acknowledge(0x40);
    store(apics, REG.eoi, 0);
  }
  machine.advance(17_000);
  assert.equal(load(apics, REG.current), 3000);
  store(apics, REG.initial, 0);
  machine.advance(100_000);
  assert.equal(port.pendingVector(), -1);
});

test("a timer with an absurd period leaves time for others", () => {
  const { machine, apics } = bench();
  store(apics, REG.timer, 0x40 | PERIODIC);
  store(apics, REG.divide, DIVIDE_BY_1);
  store(apics, REG.initial, 1);
  machine.advance(1_000_000);
  assert.ok((machine.pendingEvents()[0]?.atNs ?? 0) >= 1_000_000);
});

test("the deadline timer, and that other modes know no deadline", () => {
  const { machine, apics } = bench();
  const port = apics.port(0);
  port.setDeadlineNs(500);
  assert.equal(port.deadlineNs(), undefined);
  store(apics, REG.timer, 0x40 | DEADLINE);
  store(apics, REG.initial, 100);
  assert.equal(load(apics, REG.current), 0);
  port.setDeadlineNs(500);
  assert.equal(port.deadlineNs(), 500);
  machine.advance(500);
  assert.equal(port.pendingVector(), 0x40);
  assert.equal(port.deadlineNs(), undefined);
  port.acknowledge(0x40);
  store(apics, REG.eoi, 0);
  // What has passed already comes due at once.
  port.setDeadlineNs(500);
  assert.equal(port.pendingVector(), 0x40);
  assert.equal(port.deadlineNs(), undefined);
  port.setDeadlineNs(900);
  store(apics, REG.timer, 0x40);
  assert.deepEqual(machine.pendingEvents(), []);
});

test("a masked timer comes due in silence", () => {
  const { machine, apics } = bench();
  store(apics, REG.timer, 0x40 | MASKED);
  store(apics, REG.initial, 100);
  machine.advance(10_000);
  assert.deepEqual([...machine.interrupts], []);
});

test("errors are collected, shown on the next write, and interrupt", () => {
  const b = bench();
  store(b.apics, REG.error, 0x45);
  send(b, 0x4005, 1);
  assert.equal(b.apics.port(0).pendingVector(), 0x45);
  assert.equal(load(b.apics, REG.errors), 0);
  store(b.apics, REG.errors, 0);
  assert.equal(load(b.apics, REG.errors), 1 << 5);
  store(b.apics, REG.version, 1);
  store(b.apics, REG.errors, 0);
  assert.equal(load(b.apics, REG.errors), 1 << 7);
  assert.equal(b.apics.deliver(fixed(3, 0)), false);
  store(b.apics, REG.errors, 0);
  assert.equal(load(b.apics, REG.errors), 1 << 6);
});

test("the entries of the table keep what there is of them", () => {
  const { apics } = bench();
  store(apics, REG.lint0, 0xffff_ffff);
  assert.equal(load(apics, REG.lint0), 0x1a7ff);
  store(apics, REG.timer, 0xffff_ffff);
  assert.equal(load(apics, REG.timer), 0x700ff);
});

test("a restored APIC goes on where the saved one was", () => {
  const first = bench();
  store(first.apics, REG.timer, 0x40 | PERIODIC);
  store(first.apics, REG.divide, DIVIDE_BY_1);
  store(first.apics, REG.initial, 5000);
  first.apics.deliver(fixed(0x50, 1));
  const saved = saveDevices([first.apics]);
  const second = bench();
  const port = second.apics.port(1);
  restoreDevices([second.apics], saved);
  assert.deepEqual([...second.machine.interrupts], [`1.${INTR}`]);
  assert.equal(port.pendingVector(), 0x50, "a port that was there before is the restored APIC's");
  second.machine.advance(5000);
  assert.equal(second.apics.port(0).pendingVector(), 0x40);
});
