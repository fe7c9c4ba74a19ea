// What `npm pack` would publish: the bundle, the types, the images and the docs, and nothing else.

import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { test } from "node:test";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const hasNpm = spawnSync("npm", ["--version"], { shell: process.platform === "win32" }).status === 0;
const isBundled = existsSync(`${root}/dist/bundle/cli.js`);

const ALLOWED: readonly RegExp[] = [
  /^(LICENSE|README\.md|package\.json)$/,
  /^docs\/[\w-]+\.md$/,
  /^dist\/bundle\/[\w-]+\.(js|bin)$/,
  /^dist\/src\/.*\.d\.ts$/,
  /^userland\/images\/\w+\/root\.tar$/,
];

test(
  "the package holds what it needs and nothing else",
  { skip: !hasNpm ? "npm is not there" : !isBundled && "not bundled; npm run build" },
  async () => {
    const { stdout } = await promisify(execFile)("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], {
      cwd: root,
      maxBuffer: 2 ** 24,
    });
    const paths: string[] = JSON.parse(stdout)[0].files.map(({ path }: { path: string }) => path);
    assert.deepEqual(
      paths.filter((path) => !ALLOWED.some((pattern) => pattern.test(path))),
      [],
    );
    assert.deepEqual(
      paths.filter((path) => path.includes(".test.")),
      [],
    );
    for (const needed of [
      "dist/bundle/cli.js",
      "dist/bundle/index.js",
      "dist/src/node/index.d.ts",
      "userland/images/riscv64/root.tar",
      "userland/images/x86_64/root.tar",
      "package.json",
    ]) {
      assert.ok(paths.includes(needed), needed);
    }
  },
);

test("the bundled command line and library run", { skip: !isBundled && "not bundled; npm run build" }, async () => {
  const run = promisify(execFile);
  const command = await run(process.execPath, [`${root}/dist/bundle/cli.js`, "run", "hello"]);
  assert.equal(command.stdout, "hello from user mode\n");
  const script =
    'const { boot, VitrineError } = await import("./dist/bundle/index.js"); const s = await boot(); console.log(await s.spawn(["echo", "bundled"]).stdout.text(), typeof VitrineError); await s.close();';
  const library = await run(process.execPath, ["--input-type=module", "-e", script], { cwd: root });
  assert.equal(library.stdout, "bundled\n function\n");
});
