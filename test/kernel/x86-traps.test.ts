// The trap path of x86-64 from the program's side: every exception and its siginfo, signal frames and corrupted ones, stacks that are no
// address, single-stepping, segments, and the old ways into the kernel. The program checks itself; it prints the same on Linux.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { decodeUtf8 } from "../../src/lib/bytes.ts";
import { checkInvariants } from "../../src/kernel/mem/checker.ts";
import { checkProcessInvariants } from "../../src/kernel/process/checker.ts";
import { boot } from "../../src/node/index.ts";
import { ARCHITECTURES, COMPILERS } from "../support/architectures.ts";
import { makeTar } from "../support/guest.ts";
import { runTool, skipWithout } from "../support/tools.ts";

const compiler = COMPILERS.x86_64;
const folder = mkdtempSync(join(tmpdir(), "vitrine-x86-"));
after(() => rmSync(folder, { recursive: true, force: true }));

function build(): Uint8Array {
  const source = fileURLToPath(new URL("../../../test/kernel/guest/x86_64.c", import.meta.url));
  const output = join(folder, "x86_64");
  runTool(compiler, ["-O1", "-w", "-static", "-mfsgsbase", "-mno-red-zone", "-o", output, source]);
  return readFileSync(output);
}

const skip = ARCHITECTURES.includes("x86_64") ? skipWithout(compiler) : "another architecture was asked for";

for (const harts of [1, 3]) {
  test(
    `x86-64's exceptions, frames and ways in are Linux's, ${harts} hart(s)`,
    { skip, timeout: 120_000 },
    async () => {
      const archive = makeTar({ "bin/traps": build() });
      await using system = await boot({ arch: "x86_64", root: { archive }, harts, memory: 64 << 20 });
      const program = system.spawn(["/bin/traps", "all"]);
      let text = "";
      for await (const chunk of program.stdout) text += decodeUtf8(chunk);
      const lines = text.trimEnd().split("\n");
      assert.deepEqual(
        lines.filter((line) => !line.startsWith("ok ") && line !== "done"),
        [],
      );
      assert.equal(lines.at(-1), "done");
      assert.ok(lines.length > 130, `${lines.length} checks`);
      assert.deepEqual(await program.status, { kind: "exited", code: 0 });
      assert.deepEqual([...checkInvariants(system.kernel), ...checkProcessInvariants(system.kernel)], []);
    },
  );
}
