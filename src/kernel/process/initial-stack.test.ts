// The initial stack read back as a program would read it.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { AT_EXECFN, AT_PAGESZ, AT_PLATFORM, AT_RANDOM } from "../../abi/linux/process.ts";
import { readI64 } from "../../lib/bytes.ts";
import { argumentBytes, buildInitialStack } from "./initial-stack.ts";

const TOP = 0x3f_0000_0000;
/** Byte strings without NUL. */
const text = fc
  .array(fc.integer({ min: 1, max: 255 }), { maxLength: 40 })
  .map((bytes) => String.fromCharCode(...bytes));

test("argc, argv, envp and the auxiliary vector are where the ABI has them", () => {
  fc.assert(
    fc.property(text, fc.array(text, { maxLength: 8 }), fc.array(text, { maxLength: 8 }), (path, argv, env) => {
      const random = Uint8Array.from({ length: 16 }, (_, i) => i);
      const stack = buildInitialStack(TOP, { path, argv, env, platform: "riscv64", random, auxv: [AT_PAGESZ, 4096] });
      const { bytes, stackPointer } = stack;
      assert.equal(stackPointer % 16, 0);
      assert.equal(stackPointer + bytes.length, TOP);
      let at = 0;
      const word = (): number => {
        at += 8;
        return readI64(bytes, at - 8);
      };
      const string = (address: number): string => {
        const start = address - stackPointer;
        return String.fromCharCode(...bytes.subarray(start, bytes.indexOf(0, start)));
      };
      assert.equal(word(), argv.length);
      assert.deepEqual(
        argv.map(() => string(word())),
        argv,
      );
      assert.equal(word(), 0);
      assert.deepEqual(
        env.map(() => string(word())),
        env,
      );
      assert.equal(word(), 0);
      const auxv = new Map<number, number>();
      for (let type = word(); type !== 0; type = word()) auxv.set(type, word());
      assert.equal(auxv.get(AT_PAGESZ), 4096);
      assert.equal(string(auxv.get(AT_EXECFN) ?? 0), path);
      assert.equal(string(auxv.get(AT_PLATFORM) ?? 0), "riscv64");
      const randomAt = (auxv.get(AT_RANDOM) ?? 0) - stackPointer;
      assert.deepEqual(bytes.slice(randomAt, randomAt + 16), random);
      assert.ok(bytes.length >= argumentBytes(argv, env));
    }),
  );
});
