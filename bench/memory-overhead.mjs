/**
 * What a frame and a process of the guest cost in memory of the host, beyond the guest's RAM itself.
 *
 *   npm run build && node bench/memory-overhead.mjs [--arch riscv64|x86_64] [--json]
 *
 * Each figure is a difference of two systems that do the same in other amounts, so that what does not scale cancels out. Each system has a
 * process of the host to itself. Host memory is V8's heap after full collections, without machine code, and what lies outside of the heap
 * (array buffers), without the guest's RAM.
 *
 *   each frame            1.5 GiB of RAM against 256 MiB
 *   … when used           a program that touches 1 GiB against one that touches 64 MiB (what page tables take is frames of the guest)
 *   each process          1,088 forked processes that wait against 64; beside it, the frames of the guest that each takes
 */

import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { getHeapSpaceStatistics } from "node:v8";
import { boot } from "../dist/bundle/index.js";

const SOURCES = join(dirname(fileURLToPath(import.meta.url)), "memory");
const COMPILERS = { riscv64: "riscv64-linux-gnu-gcc", x86_64: "x86_64-linux-gnu-gcc" };
const MEBIBYTE = 2 ** 20;
const PAGE_SIZE = 4096;

const { values: options } = parseArgs({
  options: { arch: { type: "string" }, json: { type: "boolean", default: false }, system: { type: "string" } },
});
if (options.system !== undefined) {
  // A process of the host that was started for one system (below).
  console.log(JSON.stringify(await hostMemory(JSON.parse(options.system))));
  process.exit(0);
}
const scratch = mkdtempSync(join(tmpdir(), "vitrine-bench-"));
process.on("exit", () => rmSync(scratch, { recursive: true, force: true }));

const results = [];
for (const arch of options.arch === undefined ? Object.keys(COMPILERS) : [options.arch]) {
  const program = compile(arch);
  if (program !== undefined) results.push({ arch, ...(await measure(arch, program)) });
}
if (options.json) console.log(JSON.stringify({ node: process.version, results }, undefined, 2));
else for (const result of results) print(result);

async function measure(arch, program) {
  const run = (mebibytes, ...argv) => inOwnProcess({ arch, program, mebibytes, argv });
  const small = run(256, "hold", "64");
  const large = run(1536, "hold", "64");
  const held = run(1536, "hold", "1024");
  const few = run(256, "processes", "64");
  const many = run(256, "processes", "1088");
  return {
    frame: (large.bytes - small.bytes) / (((1536 - 256) * MEBIBYTE) / PAGE_SIZE),
    usedFrame: (held.bytes - large.bytes) / (((1024 - 64) * MEBIBYTE) / PAGE_SIZE),
    process: (many.bytes - few.bytes) / 1024,
    processFrames: (few.freeFrames - many.freeFrames) / 1024,
    base: small.bytes,
  };
}

function inOwnProcess(system) {
  const argv = ["--expose-gc", fileURLToPath(import.meta.url), "--system", JSON.stringify(system)];
  const run = spawnSync(process.execPath, argv, { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
  if (run.status !== 0) throw new Error(`the system ${system.argv.join(" ")} failed`);
  return JSON.parse(run.stdout);
}

/** Host memory of a system in which the program holds what it was told to. */
async function hostMemory({ arch, program, mebibytes, argv }) {
  const system = await boot({ arch, memory: mebibytes * MEBIBYTE, mounts: [{ host: program, guest: "/memory" }] });
  const guest = system.spawn(["/memory", ...argv]);
  let text = "";
  for await (const chunk of guest.stdout) {
    text += Buffer.from(chunk).toString();
    if (text.includes("held\n")) break;
  }
  if (!text.includes("held\n")) throw new Error(`the program said: ${text}`);
  await system.pause();
  await settle();
  const bytes = usedBytes() - mebibytes * MEBIBYTE;
  return { bytes, freeFrames: system.kernel.state.memory.frames.freeCount };
}

/** A few collections, with time for what they queue. */
async function settle() {
  for (let i = 0; i < 3; i++) {
    globalThis.gc();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function usedBytes() {
  const code = getHeapSpaceStatistics().filter(({ space_name: name }) => name.includes("code"));
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external - code.reduce((sum, space) => sum + space.space_used_size, 0);
}

function print({ arch, frame, usedFrame, process: perProcess, processFrames, base }) {
  console.log(`${arch}, Node ${process.version}: bytes of host memory beyond the guest's RAM`);
  console.log(`  each frame of RAM                  ${frame.toFixed(1).padStart(10)}`);
  console.log(`  more for each that a program uses  ${usedFrame.toFixed(1).padStart(10)}`);
  console.log(`  each process                       ${Math.round(perProcess).toLocaleString("en").padStart(10)}`);
  console.log(`  … and frames of the guest          ${processFrames.toFixed(1).padStart(10)}`);
  console.log(`  a system with 256 MiB              ${Math.round(base).toLocaleString("en").padStart(10)}`);
}

function compile(arch) {
  const output = join(scratch, `memory-${arch}`);
  const sources = readdirSync(SOURCES)
    .filter((name) => name.endsWith(".c"))
    .map((name) => join(SOURCES, name));
  const built = spawnSync(COMPILERS[arch], ["-O2", "-static", "-pthread", "-o", output, ...sources], {
    encoding: "utf8",
  });
  if (built.error !== undefined) {
    console.error(`bench: ${arch}: ${COMPILERS[arch]} is not installed`);
    return undefined;
  }
  if (built.status === 0) return output;
  console.error(`bench: ${COMPILERS[arch]} failed\n${built.stderr}`);
  process.exit(1);
}
