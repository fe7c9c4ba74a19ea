// Which architecture a program is for, before any machine is made: from the header of its ELF file, which is looked for in the root
// file system as the guest would, links and `#!` lines followed.

import { closeSync, openSync, readlinkSync, readSync, statSync, lstatSync } from "node:fs";
import { join } from "node:path";
import { ArchiveFormatError } from "../kernel/fs/archive-format-error.ts";
import { readArchive } from "../kernel/fs/archive.ts";
import { readU16 } from "../lib/bytes.ts";
import type { Architecture } from "../system/platform.ts";
import { openRoot, type RootOption } from "./root-image.ts";
import { DEFAULT_PATH } from "./spawn.ts";

/** What runs where nothing says which. */
export const DEFAULT_ARCHITECTURE: Architecture = "riscv64";

/** e_machine of the ELF files that each architecture runs. */
const MACHINES: ReadonlyMap<number, Architecture> = new Map([
  [243, "riscv64"],
  [62, "x86_64"],
]);

/** Links and interpreters that are followed. */
const MOST_STEPS = 40;
/** Bytes that tell what a file is: an ELF header, or a `#!` line. */
const HEAD = 256;

/** One name of a root file system. */
type Found =
  | { readonly kind: "file"; readonly head: Uint8Array }
  | { readonly kind: "link"; readonly target: string }
  | { readonly kind: "directory" };

/** Looks one absolute path up; its last component is not followed. */
type LookUp = (path: string) => Found | undefined;

/** The architecture of a file's first bytes; undefined for anything but a program of one that there is. */
function architectureOf(head: Uint8Array): Architecture | undefined {
  const isElf = head.length >= 20 && head[0] === 0x7f && head[1] === 0x45 && head[2] === 0x4c && head[3] === 0x46;
  return isElf ? MACHINES.get(readU16(head, 18)) : undefined;
}

/** The architecture of a file on the host. */
export function architectureOfHostFile(path: string): Architecture | undefined {
  const head = readHead(path);
  return head === undefined ? undefined : architectureOf(head);
}

/** The architecture of a program in a root file system that is not the package's own; undefined where that cannot be told. */
export function findArchitecture(root: RootOption | undefined, program: string | undefined): Architecture | undefined {
  if (root === undefined || program === undefined || program === "") return undefined;
  const source = openRoot(root, DEFAULT_ARCHITECTURE);
  const lookUp = source.kind === "folder" ? lookUpInFolder(source.path) : lookUpInArchive(source.bytes);
  const candidates = program.includes("/")
    ? [program]
    : DEFAULT_PATH.split(":").map((folder) => `${folder}/${program}`);
  for (const candidate of candidates) {
    const found = followProgram(lookUp, candidate);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Follows links and `#!` lines to an ELF file. */
function followProgram(lookUp: LookUp, path: string): Architecture | undefined {
  const rest = path.split("/");
  let place: string[] = [];
  for (let steps = 0; steps < MOST_STEPS;) {
    const name = rest.shift();
    if (name === undefined) return undefined;
    if (name === "" || name === ".") continue;
    if (name === "..") {
      place.pop();
      continue;
    }
    const found = lookUp(`/${[...place, name].join("/")}`);
    if (found === undefined) return undefined;
    if (found.kind === "directory") {
      place.push(name);
      continue;
    }
    steps += 1;
    if (found.kind === "link") {
      if (found.target.startsWith("/")) place = [];
      rest.unshift(...found.target.split("/"));
      continue;
    }
    if (rest.length > 0) return undefined;
    const script = /^#![ \t]*([^ \t\n]+)/.exec(Buffer.from(found.head).toString("latin1"));
    if (script === null) return architectureOf(found.head);
    place = [];
    rest.unshift(...(script[1] ?? "").split("/"));
  }
  return undefined;
}

function lookUpInArchive(bytes: Uint8Array): LookUp {
  const names = new Map<string, Found>();
  try {
    for (const { name, kind, target, contents } of readArchive(bytes)) {
      const path = `/${name
        .split("/")
        .filter((part) => part !== "" && part !== ".")
        .join("/")}`;
      if (kind === "file") names.set(path, { kind, head: contents.subarray(0, HEAD) });
      else if (kind === "symlink") names.set(path, { kind: "link", target });
      else if (kind === "hard-link") names.set(path, names.get(`/${target}`) ?? { kind: "link", target: `/${target}` });
      // Directories need no entries of their own.
      for (let at = path.lastIndexOf("/"); at > 0; at = path.lastIndexOf("/", at - 1)) {
        if (!names.has(path.slice(0, at))) names.set(path.slice(0, at), { kind: "directory" });
      }
      if (kind === "directory") names.set(path, { kind });
    }
  } catch (error) {
    // Loading it will say what is wrong.
    if (!(error instanceof ArchiveFormatError)) throw error;
  }
  return (path) => names.get(path);
}

/** Below a folder of the host: no link is followed on the host, so that nothing outside is looked at. */
function lookUpInFolder(folder: string): LookUp {
  return (path) => {
    const at = join(folder, path);
    const status = lstatSync(at, { throwIfNoEntry: false });
    if (status === undefined) return undefined;
    if (status.isSymbolicLink()) return { kind: "link", target: readlinkSync(at) };
    if (status.isDirectory()) return { kind: "directory" };
    const head = status.isFile() ? readHead(at) : undefined;
    return head === undefined ? undefined : { kind: "file", head };
  };
}

/** The first bytes of a regular file; undefined where there is none that can be read. */
function readHead(path: string): Uint8Array | undefined {
  try {
    if (!statSync(path).isFile()) return undefined;
    const descriptor = openSync(path, "r");
    try {
      const head = new Uint8Array(HEAD);
      return head.subarray(0, readSync(descriptor, head, 0, HEAD, 0));
    } finally {
      closeSync(descriptor);
    }
  } catch {
    return undefined;
  }
}
