// Tests of uart16550.ts.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createFakeMachine, faults, load, store } from "./fake-services.test.support.ts";
import { restoreDevices, saveDevices } from "./snapshot.ts";
import { createUart } from "./uart16550.ts";

const [RBR, IER, IIR, LCR, MCR, LSR, MSR, SCR] = [0, 1, 2, 3, 4, 5, 6, 7];
const [THR, FCR] = [0, 2];
const noInterrupt = 1;

function createUartMachine() {
  const machine = createFakeMachine();
  const sent: number[] = [];
  let line = false;
  let edges = 0;
  const uart = createUart({
    base: 0,
    services: machine,
    interrupt: (level) => (line = level),
    interruptOnce: () => edges++,
    transmit: (byte) => sent.push(byte),
  });
  machine.devices.push(uart);
  const get = (register: number) => load(uart, register, 1);
  const set = (register: number, value: number) => store(uart, register, value, 1);
  return {
    machine,
    uart,
    sent,
    get,
    set,
    line: () => line,
    edges: () => edges,
    text: () => String.fromCharCode(...sent),
  };
}

const bytes = (text: string) => Uint8Array.from(text, (char) => char.charCodeAt(0));

test("sent bytes reach the host at once, and THR is always empty", () => {
  const { set, get, text } = createUartMachine();
  for (const byte of bytes("hello")) {
    assert.equal(get(LSR) & 0x60, 0x60);
    set(THR, byte);
  }
  assert.equal(text(), "hello");
});

test("the divisor hides behind DLAB", () => {
  const { set, get, sent } = createUartMachine();
  set(LCR, 0x83);
  set(0, 0x34);
  set(1, 0x12);
  assert.deepEqual([get(0), get(1)], [0x34, 0x12]);
  set(LCR, 0x03);
  assert.deepEqual([get(0), get(1)], [0, 0]);
  assert.deepEqual(sent, []);
  set(SCR, 0x5a);
  assert.equal(get(SCR), 0x5a);
});

test("the transmit interrupt: an edge on enabling it, on each write, and when a higher cause has gone", () => {
  const { set, get, line, edges, uart } = createUartMachine();
  assert.equal(get(IIR), noInterrupt);
  set(IER, 2);
  assert.equal(edges(), 1);
  get(LSR);
  assert.equal(edges(), 1);
  assert.equal(get(IIR), 0x02);
  assert.equal(get(IIR), noInterrupt);
  set(THR, 65);
  assert.equal(edges(), 2);
  set(THR, 66);
  assert.equal(edges(), 3);
  set(IER, 3);
  uart.pushInput(bytes("x"));
  assert.ok(line());
  assert.equal(get(IIR), 0x04);
  get(RBR);
  assert.ok(!line());
  assert.equal(edges(), 4);
  assert.equal(get(IIR), 0x02);
});

test("the receive interrupt: trigger level with FIFOs, time-out below it", () => {
  const { set, get, line, uart } = createUartMachine();
  set(FCR, 0x81); // on, trigger 8
  set(IER, 1);
  uart.pushInput(bytes("abc"));
  assert.ok(line());
  assert.equal(get(IIR), 0xcc);
  assert.equal(get(RBR), 97);
  assert.equal(get(RBR), 98);
  assert.ok(line());
  assert.equal(get(RBR), 99);
  assert.ok(!line());
  assert.equal(get(LSR) & 1, 0);
  assert.equal(get(IIR), 0xc1);
});

test("at the trigger level the interrupt is that of received data", () => {
  const { set, get, uart } = createUartMachine();
  set(FCR, 0xc1);
  set(IER, 1);
  uart.pushInput(new Uint8Array(14));
  assert.equal(get(IIR), 0xc4);
});

test("input beyond the FIFO waits outside, nothing is lost, and the line has a speed", () => {
  const { machine, set, get, uart } = createUartMachine();
  set(FCR, 1);
  const input = Uint8Array.from({ length: 100 }, (_, i) => i);
  uart.pushInput(input);
  assert.equal(uart.inputQueued(), 84);
  const received: number[] = [];
  let time = 0;
  let polls = 0;
  while (received.length < 100) {
    assert.ok(polls++ < 100_000);
    machine.advance((time += 1000));
    while ((get(LSR) & 1) !== 0) received.push(get(RBR));
    assert.equal(get(LSR) & 2, 0, "no overrun");
  }
  assert.deepEqual(received, [...input]);
  // 96 characters of 10 bits at 115200 bits per second precede the last four.
  assert.ok(time >= (96 * 10 * 1e9) / 115_200 && time < 1.01 * ((96 * 10 * 1e9) / 115_200), `${time}`);
});

test("loopback: bytes come back, overrun is reported once, the modem lines are wired", () => {
  const { set, get, sent, uart, line } = createUartMachine();
  get(MSR);
  set(MCR, 0x10);
  assert.equal(get(MSR) & 0xf0, 0);
  set(MCR, 0x1f);
  assert.equal(get(MSR), 0xfb, "all lines on; delta bits, but not that of the ring, which reports only its end");
  assert.equal(get(MSR), 0xf0);
  set(FCR, 0x01);
  set(IER, 4);
  uart.pushInput(bytes("kept"));
  for (let i = 0; i < 17; i++) set(THR, i);
  assert.deepEqual(sent, []);
  assert.ok(line());
  assert.equal(get(IIR), 0xc6);
  assert.equal(get(LSR) & 2, 2);
  assert.equal(get(LSR) & 2, 0);
  for (let i = 0; i < 16; i++) assert.equal(get(RBR), i);
  set(MCR, 0);
  assert.equal(get(MSR) & 0x04, 0x04, "the ring's end");
  assert.deepEqual([get(RBR), get(RBR), get(RBR), get(RBR)], [...bytes("kept")]);
});

test("clearing the FIFO empties it, and what the guest had not read comes again", () => {
  const { set, get, uart, machine } = createUartMachine();
  uart.pushInput(bytes("first of all, a long line"));
  set(FCR, 1);
  set(FCR, 3);
  assert.equal(get(LSR) & 1, 0);
  let text = "";
  for (let time = 0; time < 10_000_000; time += 100_000) {
    machine.advance(time);
    while ((get(LSR) & 1) !== 0) text += String.fromCharCode(get(RBR));
  }
  assert.equal(text, "first of all, a long line");
});

test("registers are bytes", () => {
  const { uart } = createUartMachine();
  for (const size of [2, 4, 8] as const) assert.ok(faults(uart, 0, size));
});

test("whatever the guest does, host input arrives complete and in order unless the guest itself drops it", () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant("push" as const), length: fc.integer({ min: 1, max: 40 }) }),
    fc.record({ kind: fc.constant("read" as const), count: fc.integer({ min: 1, max: 40 }) }),
    fc.record({ kind: fc.constant("wait" as const), ns: fc.integer({ min: 1, max: 3_000_000 }) }),
    fc.record({ kind: fc.constant("set" as const), register: fc.constantFrom(IER, LCR, SCR), value: fc.nat(0x7f) }),
    fc.record({ kind: fc.constant("snapshot" as const) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const { machine, uart, get, set } = createUartMachine();
      set(FCR, 1);
      let pushed = 0;
      let expected = 0;
      const drain = (limit: number) => {
        for (let i = 0; i < limit && (get(LSR) & 1) !== 0; i++) assert.equal(get(RBR), expected++ & 0xff);
      };
      let time = 0;
      for (const operation of steps) {
        if (operation.kind === "push") {
          uart.pushInput(Uint8Array.from({ length: operation.length }, () => pushed++ & 0xff));
        } else if (operation.kind === "read") drain(operation.count);
        else if (operation.kind === "wait") machine.advance((time += operation.ns));
        else if (operation.kind === "set") set(operation.register, operation.value);
        else restoreDevices([uart], saveDevices([uart]));
      }
      for (let i = 0; i < 3000 && expected < pushed; i++) {
        machine.advance((time += 10_000_000));
        drain(16);
      }
      assert.equal(expected, pushed);
    }),
    { numRuns: 200 },
  );
});
