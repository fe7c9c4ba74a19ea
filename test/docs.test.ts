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

test("docs/memory-model.md: the files and tests of its tables are there", () => {
  const text = readFileSync(join(ROOT, "docs", "memory-model.md"), "utf8");
  const missing: string[] = [];
  let rows = 0;
  for (const { heading, cells } of tableRows(text)) {
    const [files, tests] = heading === "Features" ? [cells[1], cells[2]] : heading === "Pitfalls" ? ["", cells[1]] : [];
    if (files === undefined || tests === undefined) continue;
    rows += 1;
    for (const [, file = ""] of files.matchAll(/`([^`]+)`/g)) {
      if (!existsSync(join(ROOT, "src", "kernel", file)) && !existsSync(join(ROOT, file))) missing.push(file);
    }
    // A file, and the titles of tests in it, if any.
    for (const [, file = "", titles = ""] of tests.matchAll(/`([^`]+)`((?:,? "[^"]*")*)/g)) {
      const path = [join(ROOT, "test", "kernel", file), join(ROOT, file)].find((candidate) => existsSync(candidate));
      const source = path === undefined ? "" : readFileSync(path, "utf8");
      if (path === undefined) missing.push(file);
      for (const [, title = ""] of titles.matchAll(/"([^"]*)"/g)) {
        if (path !== undefined && !source.includes(title)) missing.push(`${file}: ${title}`);
      }
    }
  }
  assert.ok(rows > 90, "both tables are read");
  assert.deepEqual(missing, []);
});

/** The rows of a page's tables, heads left out, with the heading that they stand under. */
function* tableRows(text: string): Generator<{ heading: string; cells: string[] }> {
  let heading = "";
  let isHead = true;
  for (const line of text.split("\n")) {
    if (line.startsWith("## ")) heading = line.slice(3);
    if (!line.startsWith("| ")) isHead = true;
    else if (line.startsWith("| ---")) isHead = false;
    else if (!isHead) yield { heading, cells: line.split(" | ").map((cell) => cell.replace(/^\| | \|$/g, "").trim()) };
  }
}
