/** What a machine tells of itself. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { load, store } from "./fake-services.test.support.ts";
import { createFwCfg } from "./fw-cfg.ts";

test("items are read from their start, and give 0 after their end", () => {
  const device = createFwCfg({ base: 0x510, ramSize: 0x1_2345_6000, harts: 8 });
  const read = (item: number, count: number): number[] => {
    store(device, 0, item, 2);
    return Array.from({ length: count }, () => load(device, 1, 1));
  };
  assert.equal(String.fromCharCode(...read(0, 4)), "QEMU");
  assert.deepEqual(read(3, 9), [0x00, 0x60, 0x45, 0x23, 0x01, 0, 0, 0, 0]);
  assert.deepEqual(read(3, 2), [0x00, 0x60]);
  assert.deepEqual(read(5, 2), [8, 0]);
  assert.deepEqual(read(0x1234, 1), [0]);
});
