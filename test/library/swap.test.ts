// Swap from the outside: a file of the host, programs larger than memory, and files that are no swap areas.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { boot, VitrineError } from "../../src/node/index.ts";
import { eachArch } from "../support/architectures.ts";

const folder = mkdtempSync(join(tmpdir(), "vitrine-swap-"));
after(() => rmSync(folder, { recursive: true }));

/** Thirty million bytes in a file of memory, on a machine of sixteen. */
const LARGE = `
mkdir /tmp/large && mount -t tmpfs -o size=64m large /tmp/large && cd /tmp/large
head -c 30000000 /dev/zero > text
cp text copy && rm text
cat copy | wc -c
`;

eachArch(({ arch, test }) => {
  test("a program of more than memory runs to its end with a swap file", async () => {
    const file = join(folder, `area-${arch}`);
    await using system = await boot({ arch, memory: 16 * 2 ** 20, swap: { file, size: 128 * 2 ** 20 } });
    const program = system.spawn(["sh", "-c", LARGE]);
    let output = "";
    for await (const chunk of program.stdout) output += Buffer.from(chunk).toString();
    assert.deepEqual(output.trim().split("\n"), ["30000000"]);
    assert.ok(system.kernel.state.memory.statistics.swapOuts > 1000);
    assert.equal(statSync(file).size, 128 * 2 ** 20);
  });

  test("what is no swap area is refused before anything is overwritten", async () => {
    const file = join(folder, `precious-${arch}`);
    writeFileSync(file, "chapter one\n".repeat(1000));
    await assert.rejects(boot({ arch, swap: { file, size: 1 << 20 } }), VitrineError);
    assert.equal(readFileSync(file, "utf8").length, 12000);
    await assert.rejects(boot({ arch, swap: { file: join(folder, "absent") } }), /absent/);
    await assert.rejects(boot({ arch, swap: { file: join(folder, "small"), size: 8192 } }), /40960/);
    await assert.rejects(boot({ arch, swap: { file: folder, size: 1 << 20 } }), VitrineError);
  });
});
