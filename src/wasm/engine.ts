/**
 * The host's WebAssembly, as far as we use it. Declared here, since it is neither in the language's own library nor only in
 * a browser's, and so that nothing else depends on how a host offers it.
 */
export interface WasmMemory {
  readonly buffer: ArrayBuffer;
}

/** A table of functions. */
export interface WasmTable {
  get(index: number): unknown;
  set(index: number, value: unknown): void;
}

/** A compiled module. */
export interface WasmModule {
  readonly [compiled]: true;
}

declare const compiled: unique symbol;

type Exports = Readonly<Record<string, unknown>>;
type Imports = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

declare const WebAssembly: {
  Memory: new (limits: { initial: number; maximum: number }) => WasmMemory;
  Table: new (shape: { element: "anyfunc"; initial: number; maximum: number }) => WasmTable;
  Module: new (bytes: Uint8Array<ArrayBuffer>) => WasmModule;
  Instance: new (module: WasmModule, imports: Imports) => { readonly exports: Exports };
};

/** A memory that cannot grow, so that views of its buffer stay valid. Pages are 64 KiB. */
export function createMemory(pages: number): WasmMemory {
  return new WebAssembly.Memory({ initial: pages, maximum: pages });
}

/** A table that cannot grow. */
export function createTable(size: number): WasmTable {
  return new WebAssembly.Table({ element: "anyfunc", initial: size, maximum: size });
}

export function compileModule(bytes: Uint8Array<ArrayBuffer>): WasmModule {
  return new WebAssembly.Module(bytes);
}

/** Instantiates, and returns the exports. */
export function instantiate(module: WasmModule, imports: Imports): Exports {
  return new WebAssembly.Instance(module, imports).exports;
}
