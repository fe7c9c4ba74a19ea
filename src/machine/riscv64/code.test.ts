/** Predecoded code when a page gives it up. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createMemory } from "../../wasm/engine.ts";
import { layOut } from "../engine/layout.ts";
import { CodeCache } from "./code.ts";
import { codeBytes } from "./layout.ts";

test("a hot place whose page has given up its code since is no region's head", () => {
  const ramSize = 1 << 20;
  const layout = layOut(1, ramSize, codeBytes(ramSize));
  const memory = createMemory(layout.pages);
  const words = new Uint32Array(memory.buffer);
  const [page, neighbour] = [3, 5];
  // c.nop before the page. In it: addi a0, a0, 1; jal zero, to it
  new Uint16Array(memory.buffer).fill(0x0001, layout.ram >> 1, (layout.ram + page * 4096) >> 1);
  words.set([0x0015_0513, 0xffdf_f06f], (layout.ram + page * 4096) >> 2);
  const code = new CodeCache(memory, layout, ramSize, { onEvict() {}, onCode() {} });
  const head = code.recordsOf(page);
  code.recordsOf(neighbour);
  assert.equal(code.membersFrom(head, 10).length, 2);

  code.invalidate(page, 0, 4096);
  assert.deepEqual(code.membersFrom(head, 10), []);

  // The code frame given up last is taken first: the page gets its neighbour's.
  code.invalidate(neighbour, 0, 4096);
  const other = code.recordsOf(page);
  assert.notEqual(other, head);
  assert.deepEqual(code.membersFrom(head, 10), []);
  assert.equal(code.membersFrom(other, 10).length, 2);
});
