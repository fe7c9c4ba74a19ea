/** The shell against dash and bash, the utilities against the host's, snippet by snippet. */

import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { findTargets, findVitrine, isInstalled, readCases, removeTargets, runInFolder } from "./harness.mjs";

const targets = findTargets();
after(() => removeTargets(targets));

for (const file of ["shell.txt", "utilities.txt"]) {
  for (const target of [...targets, findVitrine()]) {
    describe(`${file} on ${target.name}`, { skip: target.skip, concurrency: 2 }, () => {
      for (const { title, script, shell, needsPath } of readCases(file)) {
        const skip = !isInstalled(shell)
          ? `${shell} is not installed`
          : needsPath && target.path === "/nowhere"
            ? "programs are not found along PATH here"
            : false;
        it(title, { skip }, async (t) => {
          const note = (message) => t.diagnostic(message);
          const expected = await runInFolder(() => [shell, "-c", script], process.env.PATH, note);
          const actual = await runInFolder((folder) => target.shellCommand(script, folder), target.path, note);
          assert.equal(actual.stdout, expected.stdout, `standard error: ${actual.stderr}`);
          assert.equal(actual.status, expected.status);
        });
      }
    });
  }
}
