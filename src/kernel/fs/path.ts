// The path walk: from a byte string to a place in the name space.
//
//   "/a/../b/link/c"    one component at a time; "." and ".." are the walk's own, never a file system's
//        |              a link's target is put in front of what is left; 40 links are the limit (ELOOP)
//        v
//   Walk { parent, name, ref }     `ref` undefined: the last component does not exist, but its directory does
//
// Search permission is asked of every directory that is passed. Linux man-pages: path_resolution(7), openat2(2).

import type { Errno } from "../../abi/linux/errno.ts";
import type { Kernel } from "../kernel.ts";
import { checkAccess, failed, MAY_EXECUTE } from "./inode.ts";
import { followMagicLink } from "./magic-links.ts";
import { filesystemOperations } from "./filesystem-operations.ts";
import { isSamePlace, parentOf, rootRef, seenThrough } from "./mount-table.ts";
import type { PathContext, PathRef } from "./types.ts";

const MAX_PATH = 4096;
const MAX_NAME = 255;
const MAX_LINKS = 40;
/** Components of one walk, those of links included: 40 links could otherwise name 80,000. */
const MAX_STEPS = 10_000;

/** How the last component is treated, and what must not be crossed (openat2's RESOLVE_ flags). */
export interface WalkOptions {
  /** Follow a symbolic link in the last component. */
  readonly followLast: boolean;
  /** Leave a link in the last component alone even when a slash follows it: removal and renaming mean the name. */
  readonly keepLastLink?: boolean;
  readonly noSymlinks?: boolean;
  readonly noMagicLinks?: boolean;
  readonly noCrossMounts?: boolean;
  /** Nothing above `base` may be reached: EXDEV. */
  readonly beneath?: boolean;
  /** `base` is the root of this walk. */
  readonly inRoot?: boolean;
}

/** Where a walk ended. */
export interface Walk {
  /** Directory of the last component. */
  readonly parent: PathRef;
  readonly name: string;
  /** What the last component names, mounts seen through; undefined when it does not exist. */
  readonly ref: PathRef | undefined;
  /** What kind of last component the path had: creation and removal work on plain names only. */
  readonly last: "name" | "dot" | "dot-dot" | "root";
  /** The path ended in "/": it can only name a directory. */
  readonly trailingSlash: boolean;
}

/** The place that `path` names; it must exist. A trailing slash asks for a directory and follows a link. */
export function resolvePath(
  k: Kernel,
  context: PathContext,
  base: PathRef,
  path: string,
  options: WalkOptions,
): PathRef | Errno {
  const walk = walkPath(k, context, base, path, options);
  if (failed(walk)) return walk;
  if (walk.ref === undefined) return "ENOENT";
  if (walk.trailingSlash && walk.ref.inode.kind !== "directory") return "ENOTDIR";
  return walk.ref;
}

/** Walks `path` from `base` (or from the root). Only the last component may be missing. */
export function walkPath(
  k: Kernel,
  context: PathContext,
  base: PathRef,
  path: string,
  options: WalkOptions,
): Walk | Errno {
  if (path === "") return "ENOENT";
  if (path.length >= MAX_PATH) return "ENAMETOOLONG";
  k.state.files.walker = context.process.pid;
  const top = options.inRoot === true ? base : context.process.fs.root;
  if (path.startsWith("/") && options.beneath === true) return "EXDEV";
  let at = path.startsWith("/") ? seenThrough(k, top) : base;
  // Components still to come, the next one last.
  const rest = splitPath(path);
  let trailingSlash = path.endsWith("/");
  let links = 0;
  if (rest.length === 0) return { parent: at, name: "/", ref: at, last: "root", trailingSlash };

  for (let step = 0; ; step++) {
    if (step >= MAX_STEPS) return "ENAMETOOLONG";
    const name = rest.pop() ?? "";
    const isLast = rest.length === 0;
    if (at.inode.kind !== "directory") return "ENOTDIR";
    const allowed = checkAccess(at.inode, context.credentials, MAY_EXECUTE);
    if (failed(allowed)) return allowed;

    if (name === "." || name === "..") {
      let next = at;
      if (name === "..") {
        if (isSamePlace(at, base) && options.beneath === true) return "EXDEV";
        next = isSamePlace(at, top) ? at : parentOf(k, context.process, at);
      }
      if (next.mount !== at.mount && options.noCrossMounts === true) return "EXDEV";
      if (isLast) {
        return { parent: at, name, ref: next, last: name === "." ? "dot" : "dot-dot", trailingSlash };
      }
      at = next;
      continue;
    }

    if (name.length > MAX_NAME) return "ENAMETOOLONG";
    const inode = filesystemOperations(at.inode.filesystem).lookup(k, at.inode, name);
    if (failed(inode)) {
      if (inode === "ENOENT" && isLast) {
        return { parent: at, name, ref: undefined, last: "name", trailingSlash };
      }
      return inode;
    }
    // A directory knows its place itself: it need not keep every directory on the way alive.
    const found: PathRef = { mount: at.mount, inode, parent: inode.place === undefined ? at : undefined, name };

    if (
      inode.kind === "symlink" &&
      (!isLast || options.followLast || (trailingSlash && options.keepLastLink !== true))
    ) {
      if (options.noSymlinks === true || ++links > MAX_LINKS) return "ELOOP";
      const magic = followMagicLink(k, context.process, inode);
      if (magic !== undefined) {
        if (failed(magic)) return magic;
        if (options.noMagicLinks === true) return "ELOOP";
        if (options.beneath === true || options.inRoot === true) return "EXDEV";
        if (isLast) return { parent: at, name, ref: magic, last: "name", trailingSlash };
        at = magic;
        continue;
      }
      const link = filesystemOperations(inode.filesystem).readlink(k, inode);
      if (failed(link)) return link;
      const { target } = link;
      if (target === "") return "ENOENT";
      if (target.startsWith("/")) {
        if (options.beneath === true) return "EXDEV";
        at = seenThrough(k, top);
      }
      if (isLast && target.endsWith("/")) trailingSlash = true;
      const components = splitPath(target);
      if (components.length === 0 && isLast) return { parent: at, name: "/", ref: at, last: "root", trailingSlash };
      rest.push(...components);
      if (rest.length > MAX_PATH) return "ENAMETOOLONG";
      continue;
    }

    const next = seenThrough(k, found);
    if (next.mount !== at.mount && options.noCrossMounts === true) return "EXDEV";
    if (isLast) return { parent: at, name, ref: next, last: "name", trailingSlash };
    at = next;
  }
}

/** A walk with the rights and from the root of `process`; for the kernel's own use where no system call is under way. */
export function resolveFromRoot(k: Kernel, path: string): PathRef | Errno {
  const root = rootRef(k);
  let at = root;
  for (const name of splitPath(path).reverse()) {
    if (name === "." || name === "..") return "EINVAL";
    const inode = filesystemOperations(at.inode.filesystem).lookup(k, at.inode, name);
    if (failed(inode)) return inode;
    at = seenThrough(k, { mount: at.mount, inode, parent: at, name });
  }
  return at;
}

/** Components of a path, last first; empty ones do not count. */
function splitPath(path: string): string[] {
  return path
    .split("/")
    .filter((name) => name !== "")
    .reverse();
}
