/**
 * Files out of Debian packages, fetched when a test runs and kept in a cache folder (VITRINE_CACHE, or one under the
 * system's temporary folder). Nothing of them is part of this project.
 *
 * apt is run with a private configuration: its own source list, state and cache, for one suite and one architecture,
 * so that neither root nor a foreign architecture on the host is needed. The mirror is the one that the host's own apt
 * is configured with, and so is the keyring: packages are verified as ever.
 *
 *   <cache>/apt-<suite>-<arch>/    the private apt
 *   <cache>/<suite>-<arch>/<package>/    the unpacked package
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { hasTool } from "./tools.ts";

export interface DebianFile {
  readonly package: string;
  readonly arch: "riscv64" | "amd64" | "all";
  /** Absolute path within the package. */
  readonly path: string;
}

/** Debian's names of our architectures. */
export const DEBIAN_ARCHITECTURES = { riscv64: "riscv64", x86_64: "amd64" } as const;

/** riscv64 is a release architecture from trixie on. */
const suite = "trixie";
const updateTimeoutMs = 120_000;
const downloadTimeoutMs = 120_000;

/** Why a package could not be had, for each that was asked for. */
const failures = new Map<string, string>();
/** Why apt could not be prepared; it is not tried again, so that a host without network skips quickly. */
let aptFailure: unknown;

/** The path on the host of a file in a Debian package, or undefined when it cannot be had; `debianSkip()` says why. */
export function debianFile(file: DebianFile): string | undefined {
  const folder = debianPackage(file.package, file.arch);
  if (folder === undefined) return undefined;
  const merged = file.path.replace(/^\/(bin|sbin|lib)\//, "/usr/$1/");
  return [file.path, merged].map((path) => join(folder, path)).find((path) => existsSync(path));
}

/** The folder that holds the unpacked package, or undefined when it cannot be had. */
export function debianPackage(name: string, arch: DebianFile["arch"]): string | undefined {
  const target = packageFolder(name, arch);
  if (existsSync(target)) return target;
  if (failures.has(target)) return undefined;
  try {
    fetchPackage(name, arch, target);
    return target;
  } catch (error) {
    failures.set(target, `Debian package ${name}:${arch} cannot be had: ${firstLine(error)}`);
    return undefined;
  }
}

/** The packages that a package depends on, by name, alternatives included; empty when that cannot be had. */
export function debianDependencies(name: string, arch: DebianFile["arch"]): string[] {
  try {
    const output = execFileSync("apt-cache", [...privateApt(arch), "depends", name], { stdio: "pipe" }).toString();
    return [...output.matchAll(/Depends: (\S+)/g)].map((match) => match[1] ?? "");
  } catch (error) {
    failures.set(packageFolder(name, arch), `Debian package ${name}:${arch} cannot be had: ${firstLine(error)}`);
    return [];
  }
}

/** The reason for a skip after `debianFile` or `debianPackage` answered undefined. */
export function debianSkip(name: string, arch: DebianFile["arch"]): string {
  return failures.get(packageFolder(name, arch)) ?? `the file is not in the Debian package ${name}:${arch}`;
}

function packageFolder(name: string, arch: string): string {
  return join(cacheFolder(), `${suite}-${arch}`, name);
}

function cacheFolder(): string {
  return resolve(process.env["VITRINE_CACHE"] ?? join(tmpdir(), "vitrine-cache"));
}

/** Downloads into a folder of this process, then renames: two test files may fetch the same package at once. */
function fetchPackage(name: string, arch: string, target: string): void {
  for (const tool of ["apt-get", "dpkg-deb"]) if (!hasTool(tool)) throw new Error(`needs ${tool}`);
  const work = `${target}.${process.pid}`;
  rmSync(work, { recursive: true, force: true });
  mkdirSync(join(work, "root"), { recursive: true });
  try {
    const options = privateApt(arch === "all" ? "amd64" : arch);
    execFileSync("apt-get", [...options, "download", name], { cwd: work, timeout: downloadTimeoutMs, stdio: "pipe" });
    const archive = readdirSync(work).find((entry) => entry.endsWith(".deb"));
    if (archive === undefined) throw new Error("apt-get downloaded nothing");
    execFileSync("dpkg-deb", ["-x", archive, "root"], { cwd: work, timeout: downloadTimeoutMs, stdio: "pipe" });
    if (!existsSync(target)) renameSync(join(work, "root"), target);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Prepares (once for each cache folder) the private apt and returns the options that select it. */
function privateApt(arch: string): string[] {
  const home = join(cacheFolder(), `apt-${suite}-${arch}`);
  const options = aptOptions(home, arch);
  if (existsSync(join(home, "ready"))) return options;
  if (aptFailure !== undefined) throw aptFailure;
  const work = `${home}.${process.pid}`;
  for (const folder of ["lists/partial", "cache/archives/partial", "state"]) {
    mkdirSync(join(work, folder), { recursive: true });
  }
  const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
  const signedBy = existsSync(keyring) ? ` signed-by=${keyring}` : "";
  writeFileSync(join(work, "sources.list"), `deb [arch=${arch}${signedBy}] ${findMirror()} ${suite} main\n`);
  writeFileSync(join(work, "status"), "");
  try {
    execFileSync("apt-get", [...aptOptions(work, arch), "update"], { timeout: updateTimeoutMs, stdio: "pipe" });
  } catch (error) {
    rmSync(work, { recursive: true, force: true });
    aptFailure = error;
    throw error;
  }
  writeFileSync(join(work, "ready"), "");
  if (existsSync(join(home, "ready"))) rmSync(work, { recursive: true, force: true });
  else renameSync(work, home);
  return options;
}

function aptOptions(home: string, arch: string): string[] {
  const settings = {
    "APT::Architecture": arch,
    "APT::Architectures": arch,
    "APT::Sandbox::User": "root",
    "Acquire::Languages": "none",
    "Acquire::Retries": "1",
    "Acquire::http::Timeout": "20",
    "APT::Update::Error-Mode": "any",
    "Dir::Etc::sourcelist": join(home, "sources.list"),
    "Dir::Etc::sourceparts": "-",
    "Dir::Etc::preferences": "-",
    "Dir::Etc::preferencesparts": "-",
    "Dir::State": join(home, "state"),
    "Dir::State::lists": join(home, "lists"),
    "Dir::State::status": join(home, "status"),
    "Dir::Cache": join(home, "cache"),
  };
  return ["-q", ...Object.entries(settings).flatMap(([key, value]) => ["-o", `${key}=${value}`])];
}

/** The Debian mirror of the host's own apt, in either format of its source lists. */
function findMirror(): string {
  const lists = ["/etc/apt/sources.list"];
  if (existsSync("/etc/apt/sources.list.d")) {
    for (const entry of readdirSync("/etc/apt/sources.list.d")) lists.push(join("/etc/apt/sources.list.d", entry));
  }
  for (const list of lists.filter((path) => existsSync(path))) {
    const text = readFileSync(list, "utf8");
    const oneLine = /^deb\s+(?:\[[^\]]*\]\s+)?(\S+\/debian\/?)\s/m.exec(text)?.[1];
    const stanza = /^URIs:\s*(\S+\/debian\/?)\s*$/m.exec(text)?.[1];
    const mirror = oneLine ?? stanza;
    if (mirror !== undefined) return mirror;
  }
  throw new Error("no Debian mirror in the host's apt sources");
}

function firstLine(error: unknown): string {
  const stderr = (error as { stderr?: Buffer }).stderr?.toString() ?? "";
  const lines = (stderr.trim() === "" ? String(error) : stderr).split("\n");
  return (lines.find((line) => line.startsWith("E:")) ?? lines[0] ?? "").trim();
}
