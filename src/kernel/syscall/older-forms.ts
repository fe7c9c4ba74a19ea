// The older forms of calls, which x86-64 has beside the newer ones: the same call with some arguments fixed.
//
//   open(path, flags, mode)   =   openat(AT_FDCWD, path, flags, mode)
//
// A form is a row of its own, with the argument specifications that are left, so that it is checked and traced under its own name;
// what it does is the newer row's handler. Forms that do not come out by fixing arguments stand with their families.

import { AT_FDCWD, AT_REMOVEDIR, AT_SYMLINK_NOFOLLOW, O_CREAT, O_TRUNC, O_WRONLY } from "../../abi/linux/open-flags.ts";
import { KernelBug } from "../kernel.ts";
import type { ArgumentSpec, SyscallRow } from "./row.ts";

/** Where an argument of the newer call comes from: the caller, or it is always this. */
type Part = "given" | number;

/** One older form: its name, the newer call, and all of that one's arguments in order. */
type OlderForm = readonly [name: string, newer: string, parts: readonly Part[]];

const OLDER_FORMS: readonly OlderForm[] = [
  ["open", "openat", [AT_FDCWD, "given", "given", "given"]],
  ["creat", "openat", [AT_FDCWD, "given", O_CREAT | O_WRONLY | O_TRUNC, "given"]],
  ["stat", "newfstatat", [AT_FDCWD, "given", "given", 0]],
  ["lstat", "newfstatat", [AT_FDCWD, "given", "given", AT_SYMLINK_NOFOLLOW]],
  ["access", "faccessat", [AT_FDCWD, "given", "given"]],
  ["mkdir", "mkdirat", [AT_FDCWD, "given", "given"]],
  ["mknod", "mknodat", [AT_FDCWD, "given", "given", "given"]],
  ["rmdir", "unlinkat", [AT_FDCWD, "given", AT_REMOVEDIR]],
  ["unlink", "unlinkat", [AT_FDCWD, "given", 0]],
  ["rename", "renameat", [AT_FDCWD, "given", AT_FDCWD, "given"]],
  ["link", "linkat", [AT_FDCWD, "given", AT_FDCWD, "given", 0]],
  ["symlink", "symlinkat", ["given", AT_FDCWD, "given"]],
  ["readlink", "readlinkat", [AT_FDCWD, "given", "given", "given"]],
  ["chmod", "fchmodat", [AT_FDCWD, "given", "given"]],
  ["chown", "fchownat", [AT_FDCWD, "given", "given", "given", 0]],
  ["lchown", "fchownat", [AT_FDCWD, "given", "given", "given", AT_SYMLINK_NOFOLLOW]],
  ["pipe", "pipe2", ["given", 0]],
  ["eventfd", "eventfd2", ["given", 0]],
  ["epoll_wait", "epoll_pwait", ["given", "given", "given", "given", 0, 0]],
];

/** The rows of all older forms of `rows`. */
export function olderForms(rows: readonly SyscallRow[]): SyscallRow[] {
  const byName = indexRows(rows);
  return OLDER_FORMS.map(([name, newer, parts]) => olderForm(name, rowNamed(byName, newer), parts));
}

/** A row that calls `newer` with what it is given between what is fixed. */
export function olderForm(name: string, newer: SyscallRow, parts: readonly Part[]): SyscallRow {
  if (parts.length !== newer.args.length) throw new KernelBug(`${newer.name} has ${newer.args.length} arguments`);
  const args: ArgumentSpec[] = newer.args.filter((_spec, index) => parts[index] === "given");
  return {
    ...newer,
    name,
    args,
    handler: (call, ...values) => {
      let next = 0;
      return newer.handler(call, ...parts.map((part) => (part === "given" ? (values[next++] ?? 0) : part)));
    },
  };
}

export function indexRows(rows: readonly SyscallRow[]): ReadonlyMap<string, SyscallRow> {
  return new Map(rows.map((row) => [row.name, row]));
}

export function rowNamed(rows: ReadonlyMap<string, SyscallRow>, name: string): SyscallRow {
  const row = rows.get(name);
  if (row === undefined) throw new KernelBug(`no row ${name}`);
  return row;
}
