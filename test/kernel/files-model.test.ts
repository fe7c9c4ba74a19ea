// tmpfs and the path walk against the host's own file system: random operations, the same errors, the same tree.

import assert from "node:assert/strict";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { checkFileInvariants } from "../../src/kernel/fs/checker.ts";
import { checkInvariants } from "../../src/kernel/mem/checker.ts";
import { freeFrameCount } from "../../src/kernel/mem/frames.ts";
import { eachArch } from "../support/architectures.ts";
import { AT_FDCWD, BUFFER, createFileKernel, type User } from "../support/file-kernel.ts";

/** Both work this deep below their roots, so that ".." and links lead into the same nothing on both sides, and never out. */
const DEPTH = "1/2/3/4/5/6/7/8";
const WORK = `/${DEPTH}`;

type Step =
  | { kind: "mkdir" | "rmdir" | "unlink" | "read" | "stat" | "list"; path: string }
  | { kind: "create"; path: string }
  | { kind: "rename" | "link" | "symlink"; path: string; to: string }
  | { kind: "write"; path: string; offset: number; length: number }
  | { kind: "truncate"; path: string; size: number };

const name = fc.constantFrom("a", "b", "c");
const path = fc.oneof(
  { weight: 4, arbitrary: fc.array(name, { minLength: 1, maxLength: 3 }).map((parts) => parts.join("/")) },
  { weight: 1, arbitrary: fc.constantFrom("a/", "b/.", "a/..", "./c", "a/../b", "a//b", "b/c/", ".", "c/../../c") },
);
const target = fc.constantFrom("a", "b", "../a", "../b/c", "./c", "nowhere", "..", ".");
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constantFrom("mkdir", "rmdir", "unlink", "create", "read", "stat", "list"), path }),
  fc.record({ kind: fc.constant("mkdir"), path }),
  fc.record({ kind: fc.constantFrom("rename", "link"), path, to: path }),
  fc.record({ kind: fc.constant("symlink"), path: target, to: path }),
  fc.record({ kind: fc.constant("write"), path, offset: fc.nat(9000), length: fc.integer({ min: 1, max: 5000 }) }),
  fc.record({ kind: fc.constant("truncate"), path, size: fc.nat(10000) }),
) as fc.Arbitrary<Step>;

const pattern = (offset: number, length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => ((offset + i) * 7 + 13) & 0xff);

function onGuest(user: User, todo: Step): string {
  const at = (...parts: (string | number)[]): string =>
    String(user.call(...(parts as [string, ...(string | number)[]])));
  switch (todo.kind) {
    case "mkdir":
      return at("mkdirat", AT_FDCWD, todo.path, 0o755);
    case "rmdir":
      return at("unlinkat", AT_FDCWD, todo.path, 0x200);
    case "unlink":
      return at("unlinkat", AT_FDCWD, todo.path, 0);
    case "rename":
      return at("renameat2", AT_FDCWD, todo.path, AT_FDCWD, todo.to, 0);
    case "link":
      return at("linkat", AT_FDCWD, todo.path, AT_FDCWD, todo.to, 0);
    case "symlink":
      return at("symlinkat", todo.path, AT_FDCWD, todo.to);
    case "truncate":
      return at("truncate", todo.path, todo.size);
    case "stat": {
      const result = user.call("newfstatat", AT_FDCWD, todo.path, BUFFER, 0);
      if (typeof result === "string") return result;
      return `${(user.stat().mode & 0o170000).toString(8)}`;
    }
    case "create": {
      const fd = user.call("openat", AT_FDCWD, todo.path, 0o301, 0o644);
      return typeof fd === "string" ? fd : at("close", fd);
    }
    case "write": {
      const fd = user.call("openat", AT_FDCWD, todo.path, 0o1, 0);
      if (typeof fd === "string") return fd;
      const data = user.put(pattern(todo.offset, todo.length));
      const result = user.must("pwrite64", fd, data, todo.length, todo.offset);
      user.must("close", fd);
      return String(result);
    }
    case "read": {
      const fd = user.call("openat", AT_FDCWD, todo.path, 0, 0);
      if (typeof fd === "string") return fd;
      const count = user.call("read", fd, BUFFER, 20000);
      user.must("close", fd);
      return typeof count === "number" ? Buffer.from(user.get(count)).toString("base64") : count;
    }
    case "list": {
      const fd = user.call("openat", AT_FDCWD, todo.path, 0o200000, 0);
      if (typeof fd === "string") return fd;
      const count = user.must("getdents64", fd, BUFFER, 65536);
      user.must("close", fd);
      return namesOf(user.get(count)).sort().join(" ");
    }
  }
}

/** Names in a buffer of struct linux_dirent64, without "." and "..". */
function namesOf(bytes: Uint8Array): string[] {
  const view = Buffer.from(bytes);
  const names: string[] = [];
  for (let at = 0; at < view.length; at += view.readUInt16LE(at + 16)) {
    const end = view.indexOf(0, at + 19);
    names.push(view.toString("latin1", at + 19, end));
  }
  return names.filter((entry) => entry !== "." && entry !== "..");
}

function onHost(folder: string, todo: Step): string {
  // Not path.join, which would take ".." and slashes away before the system sees them.
  const real = (relative: string): string => `${folder}/${relative}`;
  try {
    switch (todo.kind) {
      case "mkdir":
        fs.mkdirSync(real(todo.path));
        return "0";
      case "rmdir":
        fs.rmdirSync(real(todo.path));
        return "0";
      case "unlink":
        fs.unlinkSync(real(todo.path));
        return "0";
      case "rename":
        fs.renameSync(real(todo.path), real(todo.to));
        return "0";
      case "link":
        fs.linkSync(real(todo.path), real(todo.to));
        return "0";
      case "symlink":
        fs.symlinkSync(todo.path, real(todo.to));
        return "0";
      case "truncate": {
        // Node's truncateSync opens the file first, and so asks other questions than truncate(2).
        if (!fs.statSync(real(todo.path)).isFile()) return "EISDIR";
        fs.truncateSync(real(todo.path), todo.size);
        return "0";
      }
      case "stat":
        return (fs.statSync(real(todo.path)).mode & 0o170000).toString(8);
      case "create":
        fs.closeSync(fs.openSync(real(todo.path), fs.constants.O_WRONLY | fs.constants.O_CREAT | fs.constants.O_EXCL));
        return "0";
      case "write": {
        const fd = fs.openSync(real(todo.path), fs.constants.O_WRONLY);
        const count = fs.writeSync(fd, pattern(todo.offset, todo.length), 0, todo.length, todo.offset);
        fs.closeSync(fd);
        return String(count);
      }
      case "read":
        return fs.readFileSync(real(todo.path)).toString("base64");
      case "list":
        return fs.readdirSync(real(todo.path)).sort().join(" ");
    }
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}

function treeOnHost(folder: string, below = ""): string[] {
  return fs
    .readdirSync(join(folder, below))
    .flatMap((entry) => {
      const place = join(below, entry);
      const full = join(folder, place);
      const stat = fs.lstatSync(full);
      if (stat.isDirectory()) return [`${place}/ ${stat.nlink}`, ...treeOnHost(folder, place)];
      return stat.isSymbolicLink() ? `${place} -> ${fs.readlinkSync(full)}` : `${place} ${stat.nlink} ${stat.size}`;
    })
    .sort();
}

function treeOnGuest(user: User, folder: string): string[] {
  const fd = user.must("openat", AT_FDCWD, folder, 0o200000, 0);
  const names = namesOf(user.get(user.must("getdents64", fd, BUFFER, 65536)));
  user.must("close", fd);
  return names
    .flatMap((entry) => {
      const full = `${folder}/${entry}`;
      user.must("newfstatat", AT_FDCWD, full, BUFFER, 0x100);
      const view = Buffer.from(user.get(128));
      const place = full.slice(WORK.length + 1);
      const { mode, nlink } = user.stat();
      switch (mode & 0o170000) {
        case 0o040000:
          return [`${place}/ ${nlink}`, ...treeOnGuest(user, full)];
        case 0o120000: {
          const length = user.must("readlinkat", AT_FDCWD, full, BUFFER, 4096);
          return [`${place} -> ${Buffer.from(user.get(length)).toString("latin1")}`];
        }
        default:
          return [`${place} ${nlink} ${Number(view.readBigInt64LE(48))}`];
      }
    })
    .sort();
}

eachArch(({ arch, test }) => {
  test(
    "INV-42: random file operations give the host's results and leave the host's tree",
    { skip: process.platform !== "linux" && "needs Linux to compare with" },
    () => {
      const { k, user } = createFileKernel(arch);
      for (let at = 2; at <= WORK.length; at += 2) user.must("mkdirat", AT_FDCWD, WORK.slice(0, at), 0o755);
      user.must("chdir", WORK);
      const before = freeFrameCount(k);
      fc.assert(
        fc.property(fc.array(step, { minLength: 1, maxLength: 40 }), (steps) => {
          const outer = fs.mkdtempSync(join(tmpdir(), "vitrine-model-"));
          const folder = join(outer, DEPTH);
          fs.mkdirSync(folder, { recursive: true });
          try {
            for (const [index, todo] of steps.entries()) {
              const expected = onHost(folder, todo);
              assert.equal(onGuest(user, todo), expected, `step ${index}: ${JSON.stringify(todo)}`);
            }
            assert.deepEqual(treeOnGuest(user, WORK), treeOnHost(folder));
            assert.deepEqual(checkFileInvariants(k), []);
          } finally {
            fs.rmSync(outer, { recursive: true });
            removeAll(user);
          }
        }),
        { numRuns: 200 },
      );
      assert.deepEqual(checkInvariants(k), []);
      assert.ok(Math.abs(freeFrameCount(k) - before) <= 16, "removed files must give their frames back");
    },
  );

  /** Removes everything below the working directory, and what links made above it. */
  function removeAll(user: User): void {
    const names = (folder: string): string[] => {
      const fd = user.must("openat", AT_FDCWD, folder, 0o200000, 0);
      const list = namesOf(user.get(user.must("getdents64", fd, BUFFER, 65536)));
      user.must("close", fd);
      return list;
    };
    const remove = (folder: string): void => {
      for (const entry of names(folder)) {
        const full = `${folder}/${entry}`;
        const isKept = WORK === full || WORK.startsWith(`${full}/`);
        if (user.call("unlinkat", AT_FDCWD, full, 0) === 0) continue;
        remove(full);
        if (!isKept) user.must("unlinkat", AT_FDCWD, full, 0x200);
      }
    };
    remove("/1");
  }
});
