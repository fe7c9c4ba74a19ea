/**
 * What the tests share: the programs of an image, a folder with known files, and runs whose output can be compared.
 *
 *   x86_64    runs natively
 *   riscv64   runs under qemu-riscv64. That emulates one process at a time: a program that it would have to start
 *             by exec must be known to the host (binfmt_misc), and usually is not. So PATH leads nowhere there, and
 *             vbox runs its applets in the forked child instead.
 *   Vitrine   runs the riscv64 image on this project's own machine and kernel, when VITRINE=1 asks for it: it takes
 *             minutes. The known files are copied into the guest's own file system first.
 */

import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { runOracle } from "../../test/support/oracle.mjs";

const USERLAND = join(dirname(fileURLToPath(import.meta.url)), "..");

/** @typedef {{ stdout: string, stderr: string, status: number | string }} Outcome */
/**
 * @typedef {{ name: string, command: string[], path: string, skip: string | false,
 *     shellCommand: (script: string, folder: string) => string[] }} Target
 */

/** Unpacks the regular files of an image's bin folder. */
export function unpackPrograms(architecture) {
  const folder = mkdtempSync(join(tmpdir(), `vbox-${architecture}-`));
  const image = readFileSync(join(USERLAND, "images", architecture, "root.tar"));
  const links = [];
  for (let offset = 0; offset + 512 <= image.length && image[offset] !== 0;) {
    const field = (start, length) =>
      image.toString("latin1", offset + start, offset + start + length).replace(/\0.*$/s, "");
    const [path, size, type, target] = [field(0, 100), parseInt(field(124, 12), 8), field(156, 1), field(157, 100)];
    if (path.startsWith("bin/") && type === "0")
      writeFileSync(join(folder, path.slice(4)), image.subarray(offset + 512, offset + 512 + size), { mode: 0o755 });
    if (path.startsWith("bin/") && type === "2") links.push([path.slice(4), target]);
    offset += 512 + Math.ceil(size / 512) * 512;
  }
  for (const [name, target] of links) symlinkSync(target, join(folder, name));
  return folder;
}

/** How to run each architecture's programs on this host, or why that cannot be done. @returns {Target[]} */
export function findTargets() {
  const hasQemu = spawnSync("qemu-riscv64", ["--version"]).status === 0;
  const isNative = process.arch === "x64" && process.platform === "linux";
  const native = isNative ? unpackPrograms("x86_64") : "";
  const foreign = hasQemu ? unpackPrograms("riscv64") : "";
  return [
    {
      name: "x86_64",
      command: [join(native, "vbox")],
      path: native,
      skip: isNative ? false : "the host is not x86-64 Linux",
      shellCommand: (script) => [join(native, "vbox"), "sh", "-c", script],
    },
    {
      name: "riscv64",
      command: ["qemu-riscv64", join(foreign, "vbox")],
      path: "/nowhere",
      skip: hasQemu ? false : "qemu-riscv64 is not installed",
      shellCommand: (script) => ["qemu-riscv64", join(foreign, "vbox"), "sh", "-c", script],
    },
  ];
}

/** The same snippets on Vitrine. @returns {Target} */
export function findVitrine() {
  const main = join(USERLAND, "..", "dist", "src", "cli", "main.js");
  const image = join(USERLAND, "images", "riscv64", "root.tar");
  const setUp = 'mkdir /tmp/w && cp -a /host/. /tmp/w && cd /tmp/w && exec sh -c "$0"';
  const environment = ["LC_ALL=C", "TZ=UTC0", "HOME=/"].flatMap((variable) => ["-e", variable]);
  const isWanted = process.env.VITRINE === "1";
  return {
    name: "Vitrine",
    command: [],
    path: process.env.PATH,
    skip: !isWanted ? "VITRINE=1 asks for it" : existsSync(main) ? false : "Vitrine is not built",
    shellCommand: (script, folder) => [
      ...[process.execPath, main, "run", "--root", image, "-v", `${folder}:/host:ro`, ...environment],
      ...["sh", "-c", setUp, script],
    ],
  };
}

/** @param {Target[]} targets */
export function removeTargets(targets) {
  for (const target of targets) {
    const folder = dirname(target.command[target.command.length - 1]);
    if (!target.skip) rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * The titled snippets of a case file: a line "### TITLE", then the snippet. A title may end in "@bash" (bash is the
 * reference, not dash) or "@path" (the snippet looks along PATH, so it cannot run where that leads nowhere).
 */
export function readCases(name) {
  const text = readFileSync(join(USERLAND, "test", "cases", name), "utf8");
  return text
    .split(/^### /m)
    .slice(1)
    .map((block) => {
      const end = block.indexOf("\n");
      const title = block.slice(0, end);
      return {
        title,
        script: block.slice(end + 1),
        shell: title.endsWith("@bash") ? "bash" : "dash",
        needsPath: title.endsWith("@path"),
      };
    });
}

/** Whether a reference program is installed. */
export function isInstalled(program) {
  return spawnSync("sh", ["-c", `command -v ${program}`]).status === 0;
}

/** Runs the command that is made for a new folder of known files, in it, with a bare environment and a time limit. */
export async function runInFolder(makeCommand, path, diagnostic) {
  const folder = mkdtempSync(join(tmpdir(), "vbox-case-"));
  const prepare = () => {
    rmSync(folder, { recursive: true });
    mkdirSync(folder);
    makeFiles(folder);
    return folder;
  };
  try {
    return await run(makeCommand(folder), { prepare, path, diagnostic });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Fails when the command has no end after `limitMs`; under an emulator, whose fault that may be, when it has none three
 * times: `diagnostic` is told of each.
 * @returns {Promise<Outcome>}
 */
export async function run([program, ...args], options = {}) {
  const { prepare = tmpdir, path = process.env.PATH, limitMs = 20000, diagnostic } = options;
  const env = { PATH: path, HOME: "/", LC_ALL: "C", TZ: "UTC0" };
  const attempts = program.startsWith("qemu-") ? 3 : 1;
  const command = [resolveProgram(program), ...args];
  const { stdout, stderr, code, signal } = await runOracle(command, { prepare, env, limitMs, attempts, diagnostic });
  return { stdout, stderr, status: code ?? signal };
}

/** A program's path. */
export function resolveProgram(name) {
  if (name.includes("/")) return name;
  let path = resolved.get(name);
  if (path === undefined) {
    path = spawnSync("sh", ["-c", 'command -v "$0"', name], { encoding: "utf8" }).stdout.trim();
    resolved.set(name, path);
  }
  return path;
}

/** Paths of programs by name. */
const resolved = new Map();

function makeFiles(folder) {
  const files = {
    "a.txt": "line one\nan apple\n",
    "b.txt": "line two\n",
    "words.txt": "banana\nfig\nApple\nkiwi\napple\ncherry\n",
    "dups.txt": "b\na\nb\nc\na\nb\n",
    "numbers.txt": "10\n9\n-3\n2.5\n100\n9\n0\n\n2.25\n",
    "human.txt": "1K\n2M\n500\n3K\n1G\n",
    "table.txt": "x 3 one\ny 10 two\nz 2 three\nw 3 four\n",
    "colons.txt": "carol:b:30\nalice:a:20\nbob:b:10\n",
    "blank.txt": "one\n\n\ntwo\n\n",
    "tabs.txt": "a\tb\tc\nd\te\n\u0001\u007fend\n",
    "utf8.txt": "h\u00e9llo\n\u20acuro\n",
    "1digit": "1\n",
    ".hidden": "h\n",
    big: "x".repeat(5000),
    old: "old\n",
    "sub/x.c": "int main(void) { return 0; }\n",
    "sub/y.h": "extern int main(void);\n",
    "sub/empty": "",
  };
  mkdirSync(join(folder, "sub"));
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
  utimesSync(join(folder, "old"), 946684800, 946684800);
}
