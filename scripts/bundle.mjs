/**
 * Bundles what the package runs: one file for the command line, one for the library, and what they share.
 *
 *   dist/src/**.js ── esbuild ──► dist/bundle/{cli,index}.js + chunks
 *
 * Loading 200 modules one by one takes Node more CPU time than booting the kernel: bundled, `vitrine boot` needs half. What does not
 * depend on the run is made here (prebuild.mjs). Names are kept, so that a panic's back-trace can be read.
 */

import { rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { prebuild } from "./prebuild.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const outdir = `${root}/dist/bundle`;
rmSync(outdir, { recursive: true, force: true });
await build({
  absWorkingDir: root,
  entryPoints: { cli: "dist/src/cli/main.js", index: "dist/src/node/index.js" },
  outdir,
  plugins: [prebuild(outdir)],
  bundle: true,
  splitting: true,
  format: "esm",
  platform: "node",
  target: "node20.19",
  minifyWhitespace: true,
  minifySyntax: true,
  logLevel: "warning",
});
