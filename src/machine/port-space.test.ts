/** Ports: whole accesses, split ones, and ports that nobody answers at. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Device } from "./bus.ts";
import { createPortSpace } from "./port-space.ts";

/** Byte registers at [base, base + size). */
function bytePorts(
  name: string,
  base: number,
  size: number,
): Device & { readonly state: { readonly bytes: number[] } } {
  const state = { bytes: new Array<number>(size).fill(0) };
  return {
    name,
    base,
    size,
    state,
    load(offset, accessSize, out) {
      if (accessSize !== 1) return false;
      out.lo = state.bytes[offset] ?? 0;
      return true;
    },
    store(offset, accessSize, lo) {
      if (accessSize !== 1) return false;
      state.bytes[offset] = lo & 0xff;
      return true;
    },
  };
}

test("an access that the device does not know becomes one of bytes", () => {
  const ports = createPortSpace();
  const index = bytePorts("index", 0x70, 2);
  ports.attach(index);
  ports.store(0x70, 2, 0x1234);
  assert.deepEqual(index.state.bytes, [0x34, 0x12]);
  assert.equal(ports.load(0x70, 2), 0x1234);
  assert.equal(ports.load(0x71, 1), 0x12);
});

test("ports without a device read all ones and swallow writes", () => {
  const ports = createPortSpace();
  ports.attach(bytePorts("one", 0x80, 1));
  ports.store(0x80, 4, 0x11223344);
  assert.equal(ports.load(0x80, 4), 0xffffff44 | 0);
  assert.equal(ports.load(0x3f8, 1), 0xff);
  assert.equal(ports.load(0x3f8, 2), 0xffff);
  assert.equal(ports.load(0x3f8, 4), -1);
  ports.store(0x3f8, 4, 1);
});

test("port windows may not overlap, and names are unique", () => {
  const ports = createPortSpace();
  ports.attach(bytePorts("a", 0x70, 2));
  assert.throws(() => ports.attach(bytePorts("a", 0x80, 2)), /two devices/);
  assert.throws(() => ports.attach(bytePorts("b", 0x71, 1)), /overlaps a/);
});
