/** The I/O APIC: edges, levels, masks, and where messages go. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { faults, load, store } from "../fake-services.test.support.ts";
import { createIoApic, ioApicPins, type IoApic } from "./io-apic.ts";
import type { InterruptMessage } from "./message.ts";

const LEVEL = 1 << 15;
const MASKED = 1 << 16;
const REMOTE_IRR = 1 << 14;

function bench(): { apic: IoApic; sent: InterruptMessage[]; refuse: { isOn: boolean } } {
  const sent: InterruptMessage[] = [];
  const refuse = { isOn: false };
  const apic = createIoApic({
    base: 0,
    send: (message) => {
      sent.push(message);
      return !refuse.isOn;
    },
  });
  return { apic, sent, refuse };
}

function read(apic: IoApic, index: number): number {
  store(apic, 0, index);
  return load(apic, 0x10);
}

function write(apic: IoApic, index: number, value: number): void {
  store(apic, 0, index);
  store(apic, 0x10, value);
}

test("its registers behind the window", () => {
  const { apic } = bench();
  assert.equal(read(apic, 1), 0x170020);
  write(apic, 0, 0x5000000);
  assert.equal(read(apic, 0), 0x5000000);
  assert.equal(read(apic, 2), 0x5000000);
  for (let pin = 0; pin < ioApicPins; pin++) assert.equal(read(apic, 0x10 + 2 * pin), MASKED);
  write(apic, 0x15, 0xaa00_0000);
  assert.equal(read(apic, 0x15), 0xaa00_0000);
  assert.equal(read(apic, 0x3f), 0, "the last pin's destination");
  assert.equal(read(apic, 0x40), 0);
  write(apic, 0xff, 1);
  assert.ok(faults(apic, 0x10, 1));
});

test("an edge is one message, to the entry's destination", () => {
  const { apic, sent } = bench();
  write(apic, 0x19, 0x0300_0000);
  write(apic, 0x18, 0x0931);
  apic.setLevel(4, true);
  apic.setLevel(4, true);
  assert.deepEqual(sent, [{ vector: 0x31, delivery: "lowest", destination: 3, isLogical: true, isLevel: false }]);
  apic.setLevel(4, false);
  apic.setLevel(4, true);
  apic.pulse(4);
  assert.equal(sent.length, 3);
});

test("edges on a masked pin are lost, a level stays", () => {
  const { apic, sent } = bench();
  apic.setLevel(4, true);
  apic.pulse(4);
  write(apic, 0x18, 0x31);
  assert.equal(sent.length, 0);
  write(apic, 0x18, 0x31 | LEVEL);
  assert.equal(sent.length, 1);
});

test("a level-triggered pin is silent until EOI, and speaks again if the level is still there", () => {
  const { apic, sent } = bench();
  write(apic, 0x18, 0x31 | LEVEL);
  apic.setLevel(4, true);
  assert.equal(read(apic, 0x18), 0x31 | LEVEL | REMOTE_IRR);
  apic.setLevel(4, false);
  apic.setLevel(4, true);
  assert.equal(sent.length, 1);
  apic.endOfInterrupt(0x32);
  assert.equal(sent.length, 1);
  apic.endOfInterrupt(0x31);
  assert.equal(sent.length, 2);
  apic.setLevel(4, false);
  store(apic, 0x40, 0x31);
  assert.equal(sent.length, 2);
  assert.equal(read(apic, 0x18), 0x31 | LEVEL);
});

test("an edge on a level-triggered pin that is silent comes later", () => {
  const { apic, sent } = bench();
  write(apic, 0x18, 0x31 | LEVEL);
  apic.pulse(4);
  apic.pulse(4);
  assert.equal(sent.length, 1);
  apic.endOfInterrupt(0x31);
  assert.equal(sent.length, 2);
  apic.endOfInterrupt(0x31);
  assert.equal(sent.length, 2);
});

test("what nobody took is offered again", () => {
  const { apic, sent, refuse } = bench();
  refuse.isOn = true;
  write(apic, 0x18, 0x31 | LEVEL);
  apic.setLevel(4, true);
  assert.equal(read(apic, 0x18), 0x31 | LEVEL);
  write(apic, 0x1a, 0x32);
  apic.pulse(5);
  apic.retry();
  assert.equal(sent.length, 4);
  refuse.isOn = false;
  apic.retry();
  apic.retry();
  assert.equal(sent.length, 6);
  assert.equal(read(apic, 0x18), 0x31 | LEVEL | REMOTE_IRR);
});

test("masking a pin keeps it silent across EOI", () => {
  const { apic, sent } = bench();
  write(apic, 0x18, 0x31 | LEVEL);
  apic.setLevel(4, true);
  write(apic, 0x18, 0x31 | LEVEL | MASKED);
  apic.endOfInterrupt(0x31);
  assert.equal(sent.length, 1);
  write(apic, 0x18, 0x31 | LEVEL);
  assert.equal(sent.length, 2);
});
