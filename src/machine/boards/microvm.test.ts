/**
 * The board's wiring, from the wire to the hart's requests: on a machine whose harts only wait and note what they are asked. What
 * programs make of the devices is tested where harts run them.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createMachine } from "../create-machine.ts";
import { createMemoryBlock } from "../devices/virtio/block.ts";
import type { Machine } from "../machine.ts";
import type { EngineHart, Processor } from "../processor.ts";
import type { X86Hart } from "../x86_64/hart.ts";
import type { LocalApicPort } from "../x86_64/local-apic-port.ts";
import { MICROVM, populateMicrovmBoard } from "./microvm.ts";

interface IdleHart {
  readonly lines: Set<number>;
  port: LocalApicPort | undefined;
}

/** A processor of harts that wait until INTR is up, and then do nothing for as long as they may. */
function idleProcessor(made: IdleHart[]): Processor<X86Hart> {
  const makeHart = (id: number): X86Hart & EngineHart => {
    const lines = new Set<number>();
    let isWaiting = true;
    let retired = 0;
    let idleNs = 0;
    let fuel = 0;
    const idle: IdleHart = { lines, port: undefined };
    made.push(idle);
    const hart: Partial<X86Hart & EngineHart> = {
      id,
      arch: "x86_64",
      timerNs: Infinity,
      wakingTimerNs: Infinity,
      place: undefined,
      setFuel: (count) => void (fuel = count),
      passTime: (ns) => void (idleNs += ns),
      execute: (count) => void (retired += count),
      wake: () => {
        isWaiting = lines.size === 0;
        return !isWaiting;
      },
      refreshTimer: () => {},
      moveWindow: () => {},
      setInterruptPending: (line, level) => void (level ? lines.add(line) : lines.delete(line)),
      attachLocalApic: (port) => void (idle.port = port),
    };
    Object.defineProperties(hart, {
      waiting: { get: () => isWaiting },
      timeNs: { get: () => retired + idleNs },
      fuel: { get: () => fuel },
    });
    // The machine's loop asks for nothing else.
    return hart as X86Hart & EngineHart;
  };
  return {
    arch: "x86_64",
    codeBytes: () => 65536,
    createEngine: (_machine, _memory, layout) => ({
      harts: Array.from({ length: layout.harts }, (_, id) => makeHart(id)),
      code: { hasCode: () => false, invalidate: () => {} },
      reset: () => {},
      setRunning: () => {},
      useInterpreter: () => {},
      translate: () => {},
    }),
  };
}

function boot(harts = 2) {
  const idle: IdleHart[] = [];
  const machine: Machine<X86Hart> = createMachine({
    processor: idleProcessor(idle),
    ramBase: 0,
    ramSize: 1 << 20,
    harts,
  });
  const output: number[] = [];
  const board = populateMicrovmBoard(machine, {
    consoleOutput: (byte) => output.push(byte),
    disks: [createMemoryBlock(new Uint8Array(512))],
    bootTime: { seconds: 59, nanoseconds: 0 },
  });
  const read = (address: number): number => {
    const word = { lo: 0, hi: 0 };
    assert.ok(machine.bus.load(address, 4, word));
    return word.lo >>> 0;
  };
  const write = (address: number, value: number): void => assert.ok(machine.bus.store(address, 4, value | 0, 0));
  const route = (pin: number, entry: number, hart: number): void => {
    for (const [index, value] of [
      [0x11 + 2 * pin, hart * 2 ** 24],
      [0x10 + 2 * pin, entry],
    ] as const) {
      write(MICROVM.ioApic, index);
      write(MICROVM.ioApic + 0x10, value);
    }
  };
  write(MICROVM.localApic + 0xf0, 0x1ff);
  return { machine, board, idle, output, read, write, route };
}

test("input on the UART interrupts the hart that its pin is routed to, until it is read", () => {
  const { machine, board, idle, route } = boot();
  route(MICROVM.uartIrq, 0x8000 | 0x24, 0);
  machine.bus.ports.store(MICROVM.uartPort + 1, 1, 1);
  board.uart.pushInput(Uint8Array.of(65));
  const port = idle[0]?.port;
  assert.ok(port);
  assert.deepEqual([...(idle[0]?.lines ?? [])], [0]);
  assert.equal(port.pendingVector(), 0x24);
  port.acknowledge(0x24);
  assert.equal(machine.bus.ports.load(MICROVM.uartPort, 1), 65);
  machine.bus.store(MICROVM.localApic + 0xb0, 4, 0, 0);
  assert.equal(port.pendingVector(), -1);
});

test("output goes to the console, and ports without a device read all ones", () => {
  const { machine, output } = boot();
  machine.bus.ports.store(MICROVM.uartPort, 1, 72);
  assert.deepEqual(output, [72]);
  assert.equal(machine.bus.ports.load(MICROVM.uartPort + 8, 1), 0xff);
  machine.bus.ports.store(MICROVM.rtcPort, 1, 0);
  assert.equal(machine.bus.ports.load(MICROVM.rtcPort + 1, 1), 0x59);
});

test("a virtio disk is in its slot, the other slots are empty", () => {
  const { read } = boot();
  assert.equal(read(MICROVM.virtio), 0x74726976);
  assert.equal(read(MICROVM.virtio + 8), 2);
  assert.equal(read(MICROVM.virtio + MICROVM.virtioStride + 8), 0);
});

test("a timer wakes its hart when all wait", () => {
  const { machine, idle, write } = boot();
  write(MICROVM.localApic + 0x320, 0x40);
  write(MICROVM.localApic + 0x3e0, 11);
  write(MICROVM.localApic + 0x380, 123_456);
  assert.deepEqual(machine.run({ instructions: 10 }), { kind: "budget" });
  assert.equal(idle[0]?.port?.pendingVector(), 0x40);
  assert.ok(machine.timeNs >= 123_456);
});

test("a message between harts reaches the other one's requests", () => {
  const { idle, write } = boot();
  write(MICROVM.localApic + 0x310, 1 << 24);
  write(MICROVM.localApic + 0x300, 0x4500);
  write(MICROVM.localApic + 0x300, 0x4608);
  assert.deepEqual([...(idle[1]?.lines ?? [])], [2, 3]);
  assert.equal(idle[1]?.port?.startVector(), 8);
});

test("the ports that end a run halt the machine", () => {
  for (const [port, size, value, reason, status] of [
    [MICROVM.debugExitPort, 4, 3, "power-off", 7],
    [MICROVM.powerPort, 2, 0x2000, "power-off", 0],
    [MICROVM.resetPort, 1, 6, "reset", 0],
  ] as const) {
    const { machine } = boot();
    machine.bus.ports.store(port, size, value);
    assert.deepEqual(machine.run({}), { kind: "halted", reason, status });
  }
});
