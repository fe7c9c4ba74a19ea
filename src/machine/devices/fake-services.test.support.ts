/**
 * A machine without harts, for tests of single devices: RAM, a clock that the test moves, and interrupt levels to look at.
 */
import type { AccessSize, Device, DeviceServices, HaltReason } from "../bus.ts";
import type { PhysicalMemory } from "../physical-memory.ts";

export interface FakeMachine extends DeviceServices {
  /** RAM as bytes, from `memory.base` on. */
  readonly ram: Uint8Array;
  /** Levels by hart and bit, as "hart.bit". */
  readonly interrupts: Set<string>;
  readonly halted: { reason: HaltReason; status: number }[];
  /** Devices whose events fire. */
  readonly devices: Device[];
  /** The hart that accesses devices from now on; 0 at first. */
  runOn(hart: number): void;
  /** Moves the clock on, firing events in order. */
  advance(toNs: number): void;
  pendingEvents(): readonly { readonly atNs: number; readonly device: string; readonly tag: number }[];
}

export function createFakeMachine(ramSize = 1 << 20): FakeMachine {
  const ram = new Uint8Array(ramSize);
  const interrupts = new Set<string>();
  const halted: { reason: HaltReason; status: number }[] = [];
  const devices: Device[] = [];
  let nowNs = 0;
  let running = 0;
  let events: { atNs: number; device: string; tag: number }[] = [];
  const without = (device: string, tag: number) =>
    events.filter((event) => event.device !== device || event.tag !== tag);
  return {
    ram,
    interrupts,
    halted,
    devices,
    memory: createFakeMemory(ram, 0x8000_0000),
    timeNs: () => nowNs,
    schedule(atNs, device, tag) {
      events = [...without(device, tag), { atNs, device, tag }];
    },
    cancel(device, tag) {
      events = without(device, tag);
    },
    setInterrupt(hart, bit, level) {
      if (level) interrupts.add(`${hart}.${bit}`);
      else interrupts.delete(`${hart}.${bit}`);
    },
    runningHart: () => running,
    runOn(hart) {
      running = hart;
    },
    halt(reason, status) {
      halted.push({ reason, status });
    },
    pendingEvents: () => events,
    advance(toNs) {
      for (;;) {
        const next = events.filter((event) => event.atNs <= toNs).sort((a, b) => a.atNs - b.atNs)[0];
        if (next === undefined) break;
        nowNs = Math.max(nowNs, next.atNs);
        events = without(next.device, next.tag);
        devices.find((device) => device.name === next.device)?.onEvent?.(next.tag, next.atNs);
      }
      nowNs = toNs;
    },
  };
}

/** Loads from a device; throws on an access fault. Words come back unsigned. */
export function load(device: Device, offset: number, size: AccessSize = 4): number {
  const out = { lo: 0, hi: 0 };
  if (!device.load(offset, size, out)) throw new Error(`access fault: load of ${size} at ${offset.toString(16)}`);
  return (out.hi >>> 0) * 4294967296 + (out.lo >>> 0);
}

/** Stores to a device; throws on an access fault. */
export function store(device: Device, offset: number, value: number, size: AccessSize = 4): void {
  const hi = Math.floor(value / 4294967296) | 0;
  if (!device.store(offset, size, value | 0, hi))
    throw new Error(`access fault: store of ${size} at ${offset.toString(16)}`);
}

export function faults(device: Device, offset: number, size: AccessSize): boolean {
  return !device.load(offset, size, { lo: 0, hi: 0 }) && !device.store(offset, size, 0, 0);
}

function createFakeMemory(ram: Uint8Array, base: number): PhysicalMemory {
  const view = new DataView(ram.buffer);
  const contains = (address: number, length: number): boolean =>
    length >= 0 && address >= base && address + length <= base + ram.length;
  const at = (address: number, length: number): number => {
    if (!contains(address, length)) throw new RangeError(`${length} bytes at ${address.toString(16)}`);
    return address - base;
  };
  return {
    base,
    size: ram.length,
    contains,
    read8: (a) => view.getUint8(at(a, 1)),
    read16: (a) => view.getUint16(at(a, 2), true),
    read32: (a) => view.getInt32(at(a, 4), true),
    write8: (a, v) => view.setUint8(at(a, 1), v),
    write16: (a, v) => view.setUint16(at(a, 2), v, true),
    write32: (a, v) => view.setInt32(at(a, 4), v, true),
    read: (a, length) => ram.slice(at(a, length), at(a, length) + length),
    readInto: (a, target) => target.set(ram.subarray(at(a, target.length), at(a, target.length) + target.length)),
    write: (a, bytes) => ram.set(bytes, at(a, bytes.length)),
    fill: (a, length, byte) => ram.fill(byte, at(a, length), at(a, length) + length),
    copy: (to, from, length) => ram.copyWithin(at(to, length), at(from, length), at(from, length) + length),
  };
}
