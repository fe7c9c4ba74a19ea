/**
 * Builds the root images.
 *
 *   ../bench/kernels ── zig cc, static musl ──────────────────────────► images/ARCH/bench
 *   src/**.c ────────── zig cc, static musl ──► build/ARCH/vbox ──────┐
 *   freestanding/ ───── zig cc, no libc ──────► build/ARCH/hello, … ──┼──► images/ARCH/root.tar
 *   rootfs/ ──────────────────────────────────────────────────────────┘    images/SHA256SUMS
 *
 *   node build.mjs           builds both architectures
 *   node build.mjs --check   builds into a temporary folder and compares with images/SHA256SUMS
 *
 * The images depend on the sources and the locked compiler only: no path, date or user name gets in.
 */

import { createHash } from "node:crypto";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { generateStubs } from "./freestanding/generate-stubs.mjs";
import { writeTar } from "./tar.mjs";

const HERE = dirname(fileURLToPath(import.meta.url));
const ARCHITECTURES = ["riscv64", "x86_64"];
const FREESTANDING_PROGRAMS = ["hello", "forktest"];
const COMMON_FLAGS = [
  "-std=c11",
  "-O2",
  "-static",
  "-s",
  "-Wall",
  "-Wextra",
  "-Werror",
  "-fno-ident",
  "-fno-sanitize=all",
  "-g0",
];
/** Folders that the root file system has besides those that hold files. */
const EMPTY_FOLDERS = [
  ["dev", 0o755],
  ["home", 0o755],
  ["mnt", 0o755],
  ["proc", 0o755],
  ["root", 0o700],
  ["sys", 0o755],
  ["tmp", 0o1777],
  ["usr", 0o755],
  ["var", 0o755],
  ["var/tmp", 0o1777],
  ["run", 0o755],
];
/** Links beside those of the applets: where scripts expect to find programs. */
const LINKS = [
  ["sbin/init", "../bin/vbox"],
  ["init", "bin/vbox"],
  ["usr/bin", "../bin"],
  ["bin/hello-xv6", "hello"],
  ["usr/sbin", "../sbin"],
];

main(process.argv.slice(2));

function main(options) {
  if (options.length > 1 || (options.length === 1 && options[0] !== "--check")) {
    console.error("usage: node build.mjs [--check]");
    process.exit(2);
  }
  const check = options[0] === "--check";
  const output = check ? mkdtempSync(join(tmpdir(), "vbox-")) : HERE;
  try {
    const sums = buildImages(join(output, "build"), join(output, "images"));
    if (check) compareSums(sums, readFileSync(join(HERE, "images", "SHA256SUMS"), "utf8"));
  } finally {
    if (check) rmSync(output, { recursive: true });
  }
}

/** Builds every image; returns what it wrote to SHA256SUMS. */
function buildImages(buildFolder, imageFolder) {
  const lines = [];
  for (const architecture of ARCHITECTURES) {
    const image = buildImage(architecture, join(buildFolder, architecture));
    const name = `${architecture}/root.tar`;
    writeFile(join(imageFolder, name), image);
    lines.push(`${createHash("sha256").update(image).digest("hex")}  ${name}\n`);
    console.log(`${name}: ${image.length} bytes`);
    const bench = buildBench(architecture, join(buildFolder, architecture));
    writeFile(join(imageFolder, `${architecture}/bench`), bench, 0o755);
    lines.push(`${createHash("sha256").update(bench).digest("hex")}  ${architecture}/bench\n`);
    console.log(`${architecture}/bench: ${bench.length} bytes`);
  }
  const sums = lines.join("");
  writeFile(join(imageFolder, "SHA256SUMS"), sums);
  return sums;
}

function compareSums(built, committed) {
  if (built === committed) {
    console.log("the committed images are those that the sources build");
    return;
  }
  console.error(`the sources build\n${built}but the committed images are\n${committed}`);
  process.exitCode = 1;
}

function buildImage(architecture, folder) {
  mkdirSync(folder, { recursive: true });
  const programs = [{ name: "vbox", path: compileVbox(architecture, folder) }];
  const stubs = join(folder, "stubs.S");
  writeFileSync(stubs, generateStubs(architecture));
  for (const name of FREESTANDING_PROGRAMS)
    programs.push({ name, path: compileFreestanding(architecture, folder, name, stubs) });

  const entries = [
    ...programs.map(({ name, path }) => ({
      path: `bin/${name}`,
      kind: "file",
      mode: 0o755,
      content: readFileSync(path),
    })),
    ...readAppletNames().map((name) => ({ path: `bin/${name}`, kind: "symlink", target: "vbox" })),
    ...LINKS.map(([path, target]) => ({ path, kind: "symlink", target })),
    ...listFiles(join(HERE, "rootfs")).map((path) => ({
      path: relative(join(HERE, "rootfs"), path).split(sep).join("/"),
      kind: "file",
      mode: path.endsWith(`etc${sep}rc`) ? 0o755 : 0o644,
      content: readFileSync(path),
    })),
    ...EMPTY_FOLDERS.map(([path, mode]) => ({ path, kind: "directory", mode })),
  ];
  return writeTar([...entries, ...listMissingFolders(entries)]);
}

function compileVbox(architecture, folder) {
  const output = join(folder, "vbox");
  const sources = listFiles(join(HERE, "src")).filter((path) => path.endsWith(".c"));
  runCompiler(architecture, ["-D_GNU_SOURCE", `-I${join(HERE, "src")}`, ...sources, "-o", output]);
  return output;
}

/** The benchmark program: not part of the root file system. */
function buildBench(architecture, folder) {
  const output = join(folder, "bench");
  const kernels = join(HERE, "..", "bench", "kernels");
  const sources = listFiles(kernels).filter((path) => path.endsWith(".c"));
  runCompiler(architecture, [
    `-ffile-prefix-map=${kernels}=.`,
    "-D_GNU_SOURCE",
    "-Wno-missing-field-initializers",
    ...sources,
    "-lm",
    "-o",
    output,
  ]);
  return readFileSync(output);
}

function compileFreestanding(architecture, folder, name, stubs) {
  const output = join(folder, name);
  const source = join(HERE, "freestanding", `${name}.c`);
  runCompiler(architecture, [
    "-ffreestanding",
    "-nostdlib",
    "-fno-stack-protector",
    "-fno-builtin",
    "-fno-asynchronous-unwind-tables",
    `-Wl,-T,${join(HERE, "freestanding", "program.ld")}`,
    "-Wl,--build-id=none",
    stubs,
    source,
    "-o",
    output,
  ]);
  return output;
}

function runCompiler(architecture, args) {
  const launcher = join(HERE, "node_modules", "@zigc", "cli", "bin", "zig");
  const flags = [`-ffile-prefix-map=${HERE}=.`, ...COMMON_FLAGS];
  const command = [launcher, "cc", "-target", `${architecture}-linux-musl`, ...flags, ...args];
  const { status } = spawnSync(process.execPath, command, { stdio: ["ignore", "inherit", "inherit"] });
  if (status !== 0) {
    console.error(`build: the compiler failed for ${architecture} (status ${status})`);
    process.exit(1);
  }
}

/** The applets' names, read from the table that the C code is built from. */
function readAppletNames() {
  const table = readFileSync(join(HERE, "src", "applets.def"), "utf8");
  const names = [...table.matchAll(/^APPLET\("([^"]+)"/gm)].map((match) => match[1]);
  if (names.length === 0) throw new Error("src/applets.def lists no applet");
  return names;
}

/** Folders that entries lie in and that are not themselves entries. */
function listMissingFolders(entries) {
  const present = new Set(entries.map((entry) => entry.path));
  const missing = new Set();
  for (const entry of entries)
    for (let path = dirname(entry.path); path !== "."; path = dirname(path)) if (!present.has(path)) missing.add(path);
  return [...missing].map((path) => ({ path, kind: "directory", mode: 0o755 }));
}

/** All regular files below a folder, sorted, so that the order of a directory does not reach the output. */
function listFiles(folder) {
  return readdirSync(folder)
    .sort()
    .map((name) => join(folder, name))
    .flatMap((path) => (statSync(path).isDirectory() ? listFiles(path) : [path]));
}

function writeFile(path, content, mode = 0o644) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content, { mode });
}
