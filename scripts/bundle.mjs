/**
 * Bundles what the package runs: one file for the command line, one for the library, and what they share.
 *
 *   dist/src/**.js ── esbuild ──► dist/bundle/{cli,index}.js + chunks
 *
 * Loading 200 modules one by one takes Node more CPU time than booting the kernel: bundled, `vitrine boot` needs half. Names are
 * kept, so that a panic's back-trace can be read.
 */

import { rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));
rmSync(`${root}/dist/bundle`, { recursive: true, force: true });
await build({
  absWorkingDir: root,
  entryPoints: { cli: "dist/src/cli/main.js", index: "dist/src/node/index.js" },
  outdir: "dist/bundle",
  bundle: true,
  splitting: true,
  format: "esm",
  platform: "node",
  target: "node20.19",
  minifyWhitespace: true,
  minifySyntax: true,
  logLevel: "warning",
});
