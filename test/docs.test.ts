// The documents name files and functions: each must be there, so that the tour never leads into the void.

import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const PAGES = ["README.md", ...readdirSync(join(ROOT, "docs")).map((name) => join("docs", name))].filter((name) =>
  name.endsWith(".md"),
);

for (const page of PAGES) {
  test(`${page}: every path in it is there`, () => {
    const text = readFileSync(join(ROOT, page), "utf8");
    const paths = [...text.matchAll(/`((?:src|docs|test|userland|bench|scripts)\/[\w./{},-]*\w)`/g)].map(
      (match) => match[1] ?? "",
    );
    const missing = paths.filter((path) => !path.includes("{") && !existsSync(join(ROOT, path)));
    assert.deepEqual(missing, []);
  });
}

test("docs/tour.md: every function it names is in the file it names", () => {
  const rows = [...readFileSync(join(ROOT, "docs", "tour.md"), "utf8").matchAll(/\| `([\w./-]+\.\w+)` \| `(\w+)` \|/g)];
  assert.ok(rows.length > 30, "the tour has its tables");
  const missing = rows
    .map(([, path = "", name = ""]) => ({ path, name }))
    .filter(
      ({ path, name }) =>
        !new RegExp(`(function|const|class|private|public)?\\b${name}\\b\\s*[(=:]`).test(
          readFileSync(join(ROOT, path), "utf8"),
        ),
    );
  assert.deepEqual(missing, []);
});
