// Signals, threads and processes as C programs see them, through the C library's use of the kernel. Each program checks itself and
// prints a line for each check; they run with one hart and with three, and the invariants hold when they have ended.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { fileURLToPath } from "node:url";
import { decodeUtf8 } from "../../src/lib/bytes.ts";
import { checkInvariants } from "../../src/kernel/mem/checker.ts";
import { checkProcessInvariants } from "../../src/kernel/process/checker.ts";
import { boot } from "../../src/node/index.ts";
import { COMPILERS, eachArch } from "../support/architectures.ts";
import { makeTar } from "../support/guest.ts";
import { runTool, skipWithout } from "../support/tools.ts";

/** The C sources lie in the source tree, not beside the compiled test. */
const SOURCES = fileURLToPath(new URL("../../../test/kernel/guest/", import.meta.url));
const built = new Map<string, Uint8Array>();
const folder = mkdtempSync(join(tmpdir(), "vitrine-guest-"));
after(() => rmSync(folder, { recursive: true, force: true }));

eachArch(({ arch, test }) => {
  const compiler = COMPILERS[arch];

  function build(name: string): Uint8Array {
    const key = `${name}-${arch}`;
    let bytes = built.get(key);
    if (bytes === undefined) {
      const output = join(folder, key);
      runTool(compiler, ["-O1", "-w", "-static", "-pthread", "-o", output, join(SOURCES, `${name}.c`), "-lrt"]);
      bytes = readFileSync(output);
      built.set(key, bytes);
    }
    return bytes;
  }

  for (const name of ["signals", "threads", "processes", "storm"]) {
    for (const harts of [1, 3]) {
      test(`${name}, ${harts} hart(s)`, { skip: skipWithout(compiler), timeout: 120_000 }, async () => {
        const archive = makeTar({ [`bin/${name}`]: build(name) });
        await using system = await boot({ arch, root: { archive }, harts, memory: 64 << 20 });
        const program = system.spawn([`/bin/${name}`, ...(name === "processes" && harts > 1 ? ["quick"] : [])]);
        let text = "";
        for await (const chunk of program.stdout) text += decodeUtf8(chunk);
        const lines = text.trimEnd().split("\n");
        assert.deepEqual(
          lines.filter((line) => !line.startsWith("ok ") && line !== "done"),
          [],
        );
        assert.equal(lines.at(-1), "done");
        assert.deepEqual(await program.status, { kind: "exited", code: 0 });
        assert.deepEqual([...checkInvariants(system.kernel), ...checkProcessInvariants(system.kernel)], []);
      });
    }
  }
});
