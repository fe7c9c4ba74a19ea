// Loading a program into a new address space: path to file, `#!` lines, ELF segments, interpreter, stack. execve(2).
//
//   path ──> script? ──yes──> its interpreter with the script as an argument, up to four deep
//        └─> ELF ──> segments mapped from the page cache, zeros after them ──> PT_INTERP mapped likewise ──> stack
//
// Nothing of the caller changes here: on any failure the new space is given back. File contents are paged in on demand.

import { pageAlignUp, pageBase, PAGE_SIZE, virtAddr, type VirtAddr } from "../../lib/address.ts";
import type { Errno } from "../../abi/linux/errno.ts";
import { O_ACCMODE, O_RDONLY } from "../../abi/linux/open-flags.ts";
import * as abi from "../../abi/linux/process.ts";
import { CLOCK_TICKS_PER_SECOND } from "../../abi/linux/time.ts";
import { fillRandom } from "../fs/device-files.ts";
import { checkAccess, isSameInode, MAY_EXECUTE, SET_GID, SET_UID } from "../fs/inode.ts";
import { pathOf } from "../fs/mount-table.ts";
import { fileVmo, readFile } from "../fs/page-cache.ts";
import { resolvePath } from "../fs/path.ts";
import type { PathRef } from "../fs/types.ts";
import type { Kernel } from "../kernel.ts";
import { createAddressSpace, releaseAddressSpace } from "../mem/address-space.ts";
import { withReclaim } from "../mem/reclaim.ts";
import { mapRegion, unmapRange } from "../mem/regions.ts";
import type { AddressSpace } from "../mem/types.ts";
import { clearUser, copyToUser } from "../mem/user-memory.ts";
import { releaseVmo } from "../mem/vmo.ts";
import { isElf, locateProgramHeaders, parseElf, type ElfImage, type ElfSegment } from "./elf.ts";
import { argumentBytes, buildInitialStack, type InitialStack } from "./initial-stack.ts";
import { chooseLayout } from "./space-layout.ts";
import type { Credentials, Process } from "./types.ts";

/** Interpreters of interpreters that are followed. */
const SCRIPT_DEPTH = 4;
/** A `#!` line is looked for in this many bytes. */
const SCRIPT_LINE = 256;
/** Longest single argument (MAX_ARG_STRLEN). */
const MAX_ARGUMENT = 32 * PAGE_SIZE;
/** Bounds of all arguments together: a quarter of the stack limit, within these. */
const MIN_ARGUMENTS = 32 * PAGE_SIZE;
const MAX_ARGUMENTS = 6 * 1024 * 1024;
/** Stack that is there from the start, below the arguments. */
const INITIAL_STACK = 32 * PAGE_SIZE;

/** A program ready to run in a space of its own, which whoever takes it must install or release. */
export interface LoadedProgram {
  readonly space: AddressSpace;
  readonly entry: VirtAddr;
  readonly stack: InitialStack;
  readonly credentials: Credentials;
  readonly secure: boolean;
  readonly executable: string;
  readonly program: PathRef;
  /** Last component of the path that was asked for. */
  readonly name: string;
  readonly argv: readonly string[];
}

interface ProgramFile {
  readonly ref: PathRef;
  readonly argv: readonly string[];
  readonly image: ElfImage;
}

/** Loads what `path` names, as seen by `process` from `base`. */
export function loadProgram(
  k: Kernel,
  process: Process,
  base: PathRef,
  path: string,
  argv: readonly string[],
  env: readonly string[],
): LoadedProgram | Errno {
  const program = findProgram(k, process, base, path, argv);
  if (typeof program === "string") return program;
  if (!argumentsFit(process, program.argv, env)) return "E2BIG";
  const space = withReclaim(k, () => createAddressSpace(k));
  if (space === "ENOMEM") return "ENOMEM";
  applyLimits(process, space);
  if (process.space.executeGain === "refused") space.executeGain = "refused";
  const loaded = fillSpace(k, process, space, program, path, env);
  if (typeof loaded === "string") releaseAddressSpace(k, space);
  return loaded;
}

/** RLIMIT_STACK, RLIMIT_DATA and RLIMIT_AS, which the memory code checks for itself. */
export function applyLimits(process: Process, space: AddressSpace): void {
  const limit = (index: number): number => process.limits[index]?.soft ?? Infinity;
  space.limits.stack = limit(abi.RLIMIT_STACK);
  space.limits.data = limit(abi.RLIMIT_DATA);
  space.limits.addressSpace = limit(abi.RLIMIT_AS);
  space.limits.locked = process.credentials.euid === 0 ? Infinity : limit(abi.RLIMIT_MEMLOCK);
}

/** Follows `#!` lines to an ELF file, and checks that it may be run. */
function findProgram(
  k: Kernel,
  process: Process,
  base: PathRef,
  path: string,
  argv: readonly string[],
): ProgramFile | Errno {
  let file = path;
  let args = argv.length === 0 ? [""] : argv;
  for (let depth = 0; depth <= SCRIPT_DEPTH; depth++) {
    const ref = findExecutable(k, process, base, file);
    if (typeof ref === "string") return ref;
    const head = readFile(k, ref.inode, 0, SCRIPT_LINE);
    if (typeof head === "string") return head;
    if (head[0] === 0x23 && head[1] === 0x21) {
      const line = parseScriptLine(head);
      if (line === undefined) return "ENOEXEC";
      args = [line.interpreter, ...(line.argument === undefined ? [] : [line.argument]), file, ...args.slice(1)];
      file = line.interpreter;
      continue;
    }
    const image = readImage(k, ref, head, file);
    return typeof image === "string" ? image : { ref, argv: args, image };
  }
  return "ELOOP";
}

function findExecutable(k: Kernel, process: Process, base: PathRef, path: string): PathRef | Errno {
  if (path === "") return "ENOENT";
  const ref = resolvePath(k, { process, credentials: process.credentials }, base, path, { followLast: true });
  if (typeof ref === "string") return ref;
  return checkExecutable(k, process, ref) ?? ref;
}

/** Why the file may not be run, if it may not. */
function checkExecutable(k: Kernel, process: Process, ref: PathRef): Errno | undefined {
  if (ref.inode.kind !== "file" || ref.mount.flags.noExec) return "EACCES";
  if (checkAccess(ref.inode, process.credentials, MAY_EXECUTE) !== 0) return "EACCES";
  for (const open of k.state.files.openFiles) {
    if (open.isMemfd === true) continue;
    if (open.kind === "file" && (open.flags & O_ACCMODE) !== O_RDONLY && isSameInode(open.inode, ref.inode))
      return "ETXTBSY";
  }
  return undefined;
}

/** `#! interpreter [one argument]`; undefined when there is no interpreter or the line is cut off within its name. */
function parseScriptLine(head: Uint8Array): { interpreter: string; argument: string | undefined } | undefined {
  const text = String.fromCharCode(...head);
  const end = text.indexOf("\n");
  const line = end === -1 ? text.slice(2) : text.slice(2, end);
  const match = /^[ \t]*([^ \t\0]+)(?:[ \t]+([^\0]*?))?[ \t\0]*$/.exec(line);
  const interpreter = match?.[1];
  if (interpreter === undefined) return undefined;
  if (end === -1 && head.length === SCRIPT_LINE && match?.[2] === undefined) return undefined;
  const argument = match?.[2];
  return { interpreter, argument: argument === undefined || argument === "" ? undefined : argument };
}

function readImage(k: Kernel, ref: PathRef, head: Uint8Array, path: string): ElfImage | Errno {
  const refuse = (rejection: { error: Errno; reason: string }): Errno => {
    if (isElf(head)) k.probes.log?.(`exec ${path}: ${rejection.reason} (this kernel runs ${k.arch.name})`);
    return rejection.error;
  };
  const place = locateProgramHeaders(head, k.arch.elfMachine);
  if ("error" in place) return refuse(place);
  const headers = readFile(k, ref.inode, place.offset, place.size);
  if (typeof headers === "string") return headers;
  if (headers.length < place.size) return refuse({ error: "ENOEXEC", reason: "truncated in the program headers" });
  const image = parseElf(head, headers, k.arch.layout.userTop);
  if ("error" in image) return refuse(image);
  const isTruncated = image.segments.some((segment) => segment.fileOffset + segment.fileSize > ref.inode.size);
  return isTruncated
    ? refuse({ error: "ENOEXEC", reason: "truncated: a segment goes on beyond the end of the file" })
    : image;
}

function argumentsFit(process: Process, argv: readonly string[], env: readonly string[]): boolean {
  const stack = process.limits[abi.RLIMIT_STACK]?.soft ?? Infinity;
  const limit = Math.max(MIN_ARGUMENTS, Math.min(stack / 4, MAX_ARGUMENTS));
  const isShort = (text: string): boolean => text.length < MAX_ARGUMENT;
  return argumentBytes(argv, env) <= limit && argv.every(isShort) && env.every(isShort);
}

function fillSpace(
  k: Kernel,
  process: Process,
  space: AddressSpace,
  program: ProgramFile,
  path: string,
  env: readonly string[],
): LoadedProgram | Errno {
  const { ref, argv, image } = program;
  const { credentials, secure } = newCredentials(process, ref);
  const layout = chooseLayout(k, process, secure, space.limits.stack);
  space.mmapTop = layout.mmapTop;
  const bias = image.placement === "fixed" ? 0 : alignUp(layout.pieBase, image.alignment) - lowest(image);
  const mapped = mapImage(k, process, space, ref, image, bias);
  if (mapped !== 0) return mapped;
  space.breakStart = virtAddr(pageAlignUp(highest(image) + bias) + layout.heapOffset);
  space.breakEnd = space.breakStart;

  let entry = image.entry + bias;
  let interpreterBase = 0;
  if (image.interpreter !== undefined) {
    const loaded = loadInterpreter(k, process, space, ref, image.interpreter);
    if (typeof loaded === "string") return loaded;
    entry = loaded.entry;
    interpreterBase = loaded.base;
  }

  const random = new Uint8Array(16);
  fillRandom(k, random);
  const stack = buildInitialStack(layout.stackTop, {
    path,
    argv,
    env,
    platform: k.arch.machineName,
    random,
    auxv: [
      ...k.arch.auxv,
      ...[abi.AT_PAGESZ, PAGE_SIZE, abi.AT_CLKTCK, CLOCK_TICKS_PER_SECOND],
      ...[abi.AT_PHDR, image.headersAddress === undefined ? 0 : image.headersAddress + bias],
      ...[abi.AT_PHENT, 56, abi.AT_PHNUM, image.headerCount, abi.AT_BASE, interpreterBase, abi.AT_FLAGS, 0],
      ...[abi.AT_ENTRY, image.entry + bias, abi.AT_UID, credentials.uid, abi.AT_EUID, credentials.euid],
      ...[abi.AT_GID, credentials.gid, abi.AT_EGID, credentials.egid, abi.AT_SECURE, secure ? 1 : 0],
    ],
  });
  const placed = mapStack(k, space, layout.stackTop, stack, image.executableStack);
  if (placed !== 0) return placed;
  return {
    space,
    entry: virtAddr(entry),
    stack,
    credentials,
    secure,
    executable: pathOf(ref, process.fs.root).path,
    program: ref,
    name: path.slice(path.lastIndexOf("/") + 1).slice(0, 15),
    argv,
  };
}

/** Set-id bits take effect unless the mount or PR_SET_NO_NEW_PRIVS says otherwise. */
function newCredentials(process: Process, ref: PathRef): { credentials: Credentials; secure: boolean } {
  const credentials = { ...process.credentials, groups: [...process.credentials.groups] };
  const honours = !ref.mount.flags.noSuid && !process.noNewPrivileges;
  if (honours && (ref.inode.mode & SET_UID) !== 0) credentials.euid = ref.inode.uid;
  if (honours && (ref.inode.mode & (SET_GID | 0o010)) === (SET_GID | 0o010)) credentials.egid = ref.inode.gid;
  credentials.suid = credentials.fsuid = credentials.euid;
  credentials.sgid = credentials.fsgid = credentials.egid;
  const secure = credentials.euid !== credentials.uid || credentials.egid !== credentials.gid;
  return { credentials, secure };
}

function loadInterpreter(
  k: Kernel,
  process: Process,
  space: AddressSpace,
  program: PathRef,
  place: { offset: number; size: number },
): { entry: number; base: number } | Errno {
  const bytes = readFile(k, program.inode, place.offset, place.size);
  if (typeof bytes === "string") return bytes;
  if (bytes.length !== place.size || bytes[bytes.length - 1] !== 0) return "ENOEXEC";
  const path = String.fromCharCode(...bytes.subarray(0, bytes.indexOf(0)));
  const ref = findExecutable(k, process, process.fs.root, path);
  if (typeof ref === "string") {
    k.probes.log?.(`exec: the program's interpreter ${path} cannot be used: ${ref}`);
    return ref;
  }
  const head = readFile(k, ref.inode, 0, SCRIPT_LINE);
  if (typeof head === "string") return head;
  const image = readImage(k, ref, head, path);
  if (typeof image === "string") return image === "ENOEXEC" ? "ELIBBAD" : image;
  const bias = image.placement === "fixed" ? 0 : chooseBias(k, space, image);
  if (typeof bias === "string") return bias;
  const mapped = mapImage(k, process, space, ref, image, bias);
  return mapped === 0 ? { entry: image.entry + bias, base: lowest(image) + bias } : mapped;
}

/** A free place in the mmap area for all segments at their distances. */
function chooseBias(k: Kernel, space: AddressSpace, image: ElfImage): number | Errno {
  const slack = image.alignment - PAGE_SIZE;
  const length = highest(image) - lowest(image) + slack;
  const protection = { read: false, write: false, execute: false };
  const at = mapRegion(k, space, { length, protection, sharing: "private", purpose: "anonymous" });
  if (typeof at === "string") return at;
  const freed = unmapRange(k, space, at, pageAlignUp(length));
  return freed === 0 ? alignUp(at, image.alignment) - lowest(image) : freed;
}

function mapImage(
  k: Kernel,
  process: Process,
  space: AddressSpace,
  ref: PathRef,
  image: ElfImage,
  bias: number,
): 0 | Errno {
  if (highest(image) + bias > k.arch.layout.userTop) return "ENOMEM";
  for (const segment of image.segments) {
    const result = mapSegment(k, process, space, ref, segment, bias);
    if (result !== 0) return result;
  }
  return 0;
}

/** One PT_LOAD: pages of the file, the last one's rest zeroed, then anonymous zeros. */
function mapSegment(
  k: Kernel,
  process: Process,
  space: AddressSpace,
  ref: PathRef,
  segment: ElfSegment,
  bias: number,
): 0 | Errno {
  const start = segment.address + bias;
  const fileEnd = start + segment.fileSize;
  const end = pageAlignUp(start + segment.memorySize);
  const firstPage = pageBase(start);
  const { protection } = segment;
  if (segment.fileSize > 0) {
    const vmo = fileVmo(k, ref.inode);
    if (typeof vmo === "string") return vmo;
    const fileOffset = pageBase(segment.fileOffset);
    const mapped = mapRegion(k, space, {
      address: firstPage,
      fixed: "replace",
      length: fileEnd - firstPage,
      protection,
      sharing: "private",
      vmo,
      vmoOffsetPages: fileOffset / PAGE_SIZE,
      purpose: "file",
      file: { inode: ref.inode, path: pathOf(ref, process.fs.root).path },
      fileOffset,
    });
    releaseVmo(k, vmo);
    if (typeof mapped === "string") return mapped;
  }
  const zeroStart = segment.fileSize > 0 ? pageAlignUp(fileEnd) : firstPage;
  if (segment.memorySize > segment.fileSize && protection.write && segment.fileSize > 0 && zeroStart > fileEnd) {
    if (clearUser(k, space, fileEnd, zeroStart - fileEnd) !== 0) return "ENOMEM";
  }
  if (end <= zeroStart) return 0;
  const zeros = mapRegion(k, space, {
    address: zeroStart,
    fixed: "replace",
    length: end - zeroStart,
    protection,
    sharing: "private",
    purpose: "anonymous",
  });
  return typeof zeros === "string" ? zeros : 0;
}

function mapStack(
  k: Kernel,
  space: AddressSpace,
  stackTop: VirtAddr,
  stack: InitialStack,
  executable: boolean,
): 0 | Errno {
  const length = pageAlignUp(stack.bytes.length) + INITIAL_STACK;
  const mapped = mapRegion(k, space, {
    address: stackTop - length,
    fixed: "no-replace",
    length,
    protection: { read: true, write: true, execute: executable },
    sharing: "private",
    purpose: "stack",
    growsDown: true,
  });
  if (typeof mapped === "string") return "ENOMEM";
  return copyToUser(k, space, stack.stackPointer, stack.bytes) === 0 ? 0 : "ENOMEM";
}

const lowest = (image: ElfImage): number => pageBase(image.segments[0]?.address ?? 0);

const highest = (image: ElfImage): number => {
  const last = image.segments.at(-1);
  return last === undefined ? 0 : last.address + last.memorySize;
};

const alignUp = (value: number, alignment: number): number => Math.ceil(value / alignment) * alignment;
