// Tests of clint.ts.

import assert from "node:assert/strict";
import { test } from "node:test";
import { createClint, createSswi } from "./clint.ts";
import { createFakeMachine, faults, load, store } from "./fake-services.test.support.ts";
import { restoreDevices, saveDevices } from "./snapshot.ts";

const mtimecmp = 0x4000;
const mtime = 0xbff8;

function createClintMachine(harts = 2) {
  const machine = createFakeMachine();
  const clint = createClint({ base: 0, harts, services: machine, nsPerTick: 100 });
  machine.devices.push(clint);
  return { machine, clint };
}

test("mtime counts ticks of virtual time", () => {
  const { machine, clint } = createClintMachine();
  machine.advance(12_345);
  assert.equal(load(clint, mtime, 8), 123);
  machine.advance(2 ** 45);
  assert.equal(load(clint, mtime, 8), Math.floor(2 ** 45 / 100));
  assert.equal(load(clint, mtime + 4), Math.floor(2 ** 45 / 100 / 2 ** 32));
});

test("MTIP rises at mtimecmp exactly, falls when it moves on, and is per hart", () => {
  const { machine, clint } = createClintMachine();
  store(clint, mtimecmp + 8, 50, 8);
  machine.advance(4999);
  assert.deepEqual([...machine.interrupts], []);
  machine.advance(5000);
  assert.deepEqual([...machine.interrupts], ["1.7"]);
  store(clint, mtimecmp + 8, 60, 8);
  assert.deepEqual([...machine.interrupts], []);
  machine.advance(6000);
  assert.deepEqual([...machine.interrupts], ["1.7"]);
});

test("mtimecmp in two halves, and all ones is never", () => {
  const { machine, clint } = createClintMachine();
  store(clint, mtimecmp, 0xffff_ffff);
  store(clint, mtimecmp + 4, 0);
  store(clint, mtimecmp, 10);
  machine.advance(1000);
  assert.deepEqual([...machine.interrupts], ["0.7"]);
  store(clint, mtimecmp, 0xffff_ffff);
  store(clint, mtimecmp + 4, 0xffff_ffff);
  assert.deepEqual([...machine.interrupts], []);
  assert.deepEqual(machine.pendingEvents(), []);
  assert.equal(load(clint, mtimecmp + 4), 0xffff_ffff);
});

test("msip keeps bit 0 only", () => {
  const { machine, clint } = createClintMachine();
  store(clint, 4, 0xffff_ffff);
  assert.equal(load(clint, 4), 1);
  assert.deepEqual([...machine.interrupts], ["1.3"]);
  store(clint, 4, 0);
  assert.deepEqual([...machine.interrupts], []);
});

test("narrow accesses fault, reserved ones read 0", () => {
  const { clint } = createClintMachine();
  assert.ok(faults(clint, 0, 1));
  assert.ok(faults(clint, mtime, 2));
  store(clint, 8, 1); // hart 2 of 2
  assert.equal(load(clint, 8), 0);
});

test("the SSWI sets SSIP and leaves clearing to the hart", () => {
  const machine = createFakeMachine();
  const sswi = createSswi({ base: 0, harts: 2, services: machine });
  store(sswi, 4, 1);
  assert.deepEqual([...machine.interrupts], ["1.1"]);
  store(sswi, 4, 0);
  assert.deepEqual([...machine.interrupts], ["1.1"]);
  assert.equal(load(sswi, 4), 0);
});

test("a restored timer fires when the saved one would have", () => {
  const first = createClintMachine();
  store(first.clint, mtimecmp, 50, 8);
  store(first.clint, 4, 1);
  const saved = saveDevices([first.clint]);
  const second = createClintMachine();
  restoreDevices([second.clint], saved);
  assert.deepEqual([...second.machine.interrupts], ["1.3"]);
  second.machine.advance(5000);
  assert.deepEqual([...second.machine.interrupts].sort(), ["0.7", "1.3"]);
});
