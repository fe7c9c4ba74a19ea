// Host folders and files in the guest's name space.
//
//   folder   hostfs over the folder, mounted at the guest path
//   file     a hostfs that holds this one file, mounted out of sight, and the file bound to the guest path
//
// Mount points are made in the guest where they are missing; that needs a root that can be written.

import { statSync } from "node:fs";
import { basename, dirname, resolve } from "node:path";
import type { HostDirectory } from "../kernel/host.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { filesystemOperations } from "../kernel/fs/filesystem-operations.ts";
import { bindMount, mountFilesystem } from "../kernel/fs/mounts.ts";
import { resolveFromRoot } from "../kernel/fs/path.ts";
import type { PathRef } from "../kernel/fs/types.ts";
import { VitrineError } from "./error.ts";
import { createHostDirectory } from "./host-directory.ts";
import { describe } from "./root-image.ts";

export interface MountOption {
  /** Folder or file of the host. */
  readonly host: string;
  /** Absolute path in the guest. */
  readonly guest: string;
  readonly readOnly?: boolean;
}

/** Where single files are mounted before they are bound to their place. */
const HIDDEN_FOLDER = "/run/host";

/** Mounts one host folder or file. `directories` are the kernel's host ports, which this adds to. */
export function mountFromHost(k: Kernel, directories: Map<string, HostDirectory>, option: MountOption): void {
  const host = resolve(option.host);
  let isFolder: boolean;
  try {
    isFolder = statSync(host).isDirectory();
  } catch (error) {
    throw new VitrineError(`cannot mount ${option.host}: ${describe(error)}`);
  }
  const guest = toByteString(option.guest);
  const port = `${host}#${directories.size}`;
  if (isFolder) {
    directories.set(port, createHostDirectory(host, { readOnly: option.readOnly ?? false }));
    attach(option, mountFilesystem(k, "hostfs", makeFolders(k, guest, option), { source: port }));
    return;
  }
  directories.set(
    port,
    createHostDirectory(dirname(host), { readOnly: option.readOnly ?? true, only: basename(host) }),
  );
  const hidden = `${HIDDEN_FOLDER}/${directories.size}`;
  attach(option, mountFilesystem(k, "hostfs", makeFolders(k, hidden, option), { source: port }));
  const source = resolveFromRoot(k, `${hidden}/${toByteString(basename(host))}`);
  if (typeof source === "string") throw new VitrineError(`cannot mount ${option.host}: ${source}`);
  attach(option, bindMount(k, source, makeFile(k, guest, option)));
}

function attach(option: MountOption, outcome: object | string): void {
  if (typeof outcome === "string") throw new VitrineError(`cannot mount ${option.host} at ${option.guest}: ${outcome}`);
}

function makeFile(k: Kernel, path: string, option: MountOption): PathRef {
  const at = path.lastIndexOf("/");
  const folder = makeFolders(k, path.slice(0, at) || "/", option);
  return entry(k, folder, path, path.slice(at + 1), "file", option);
}

/** The folder at an absolute guest path, made with its parents where missing. */
function makeFolders(k: Kernel, path: string, option: MountOption): PathRef {
  let at = resolveFromRoot(k, "/");
  if (typeof at === "string") throw new VitrineError("the guest has no root file system");
  let reached = "";
  for (const name of path.split("/").filter((part) => part !== "")) {
    reached += `/${name}`;
    at = entry(k, at, reached, name, "directory", option);
  }
  return at;
}

function entry(
  k: Kernel,
  folder: PathRef,
  path: string,
  name: string,
  kind: "file" | "directory",
  option: MountOption,
): PathRef {
  const found = resolveFromRoot(k, path);
  if (typeof found !== "string") return found;
  const mode = kind === "directory" ? 0o755 : 0o644;
  const made = folder.mount.flags.readOnly
    ? "EROFS"
    : filesystemOperations(folder.inode.filesystem).create(k, folder.inode, name, { kind, mode, uid: 0, gid: 0 });
  if (typeof made === "string")
    throw new VitrineError(`cannot make the mount point ${option.guest} in the guest: ${made}`);
  const ref = resolveFromRoot(k, path);
  if (typeof ref === "string")
    throw new VitrineError(`cannot make the mount point ${option.guest} in the guest: ${ref}`);
  return ref;
}

/** Text of the host as the kernel's byte string: UTF-8, a character a byte. */
export function toByteString(text: string): string {
  return Buffer.from(text, "utf8").toString("latin1");
}
