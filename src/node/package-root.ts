// Where the package lies: the files that are read at run time (images, package.json) are found from there, whether the code runs
// bundled or module by module.

import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

function findPackageRoot(): string {
  for (let folder = new URL(".", import.meta.url); ;) {
    if (existsSync(new URL("package.json", folder))) return fileURLToPath(folder);
    const parent = new URL("..", folder);
    if (parent.href === folder.href) throw new Error("the package has lost its package.json");
    folder = parent;
  }
}

/** Absolute path of the package, with a separator at its end. */
export const PACKAGE_ROOT = findPackageRoot();
