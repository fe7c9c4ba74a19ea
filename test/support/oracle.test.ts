/** What is made of an oracle that has no end, and of one that comes to it at the second attempt. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { runOracle } from "./oracle.mjs";
import { hasTool } from "./tools.ts";

const skip = hasTool("sh") ? false : "sh is not installed";
/** Deaf to SIGTERM, with a child that holds the pipes. */
const HUNG = "trap '' TERM; (while :; do sleep 1; done) & echo begun; wait";

test("an oracle that hangs is killed with what it started, and never gives an outcome", { skip }, async () => {
  const notes: string[] = [];
  const options = { limitMs: 300, attempts: 2, diagnostic: (message: string) => notes.push(message) };
  await assert.rejects(runOracle(["sh", "-c", `${HUNG}`], options), /without end: killed after 0.3 s, 2 times/);
  assert.equal(notes.length, 2);
});

test("an oracle that hung once is asked again, in a folder made afresh", { skip }, async () => {
  const folder = mkdtempSync(join(tmpdir(), "vitrine-oracle-"));
  try {
    let prepared = 0;
    const prepare = (): string => {
      prepared += 1;
      if (prepared === 2) writeFileSync(join(folder, "second"), "");
      return folder;
    };
    const options = { prepare, limitMs: 2000, diagnostic: () => undefined };
    const outcome = await runOracle(["sh", "-c", `[ -e second ] || { ${HUNG}; }; cat; echo no >&2; exit 3`], {
      ...options,
      input: "yes",
    });
    assert.deepEqual(outcome, { stdout: "yes", stderr: "no\n", code: 3, signal: undefined });
    assert.ok(existsSync(join(folder, "second")));
  } finally {
    rmSync(folder, { recursive: true });
  }
});
