// What the bundle has ready-made is what the sources make: each function of each `.prebuilt` module gives plain data, the same each
// time, and the bundler's notation of it gives it back.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const dist = fileURLToPath(new URL("../", import.meta.url));
const { literal } = (await import(new URL("../../scripts/prebuild.mjs", import.meta.url).href)) as {
  literal(value: unknown, storeBytes: (bytes: Uint8Array) => string): string;
};
const bundled = readdirSync(`${dist}bundle`);

const modules = readdirSync(`${dist}src`, { recursive: true, encoding: "utf8" }).filter((file) =>
  file.endsWith(".prebuilt.js"),
);
assert.ok(modules.length > 0);

for (const path of modules) {
  test(path, async () => {
    const exported = (await import(new URL(`../src/${path}`, import.meta.url).href)) as Record<string, () => unknown>;
    for (const [name, make] of Object.entries(exported)) {
      const made = make();
      const stored: Uint8Array[] = [];
      const notation = literal(made, (bytes) => String(stored.push(bytes) - 1));
      const evaluate = new Function("read", "decode", `return ${notation}`) as (
        read: (file: string) => Uint8Array,
        decode: (text: string) => Uint8Array,
      ) => unknown;
      const read = (file: string): Uint8Array => new Uint8Array(stored[Number(file)] ?? []);
      assert.deepEqual(
        evaluate(read, (text) => new Uint8Array(Buffer.from(text, "base64"))),
        made,
        name,
      );
      const prefix = `${basename(path, ".prebuilt.js")}-${name}-`;
      const files = bundled
        .filter((file) => file.startsWith(prefix))
        .map((file) => readFileSync(`${dist}bundle/${file}`));
      for (const bytes of stored)
        assert.ok(
          files.some((file) => file.equals(bytes)),
          `${name}: the bundle is stale`,
        );
    }
  });
}
