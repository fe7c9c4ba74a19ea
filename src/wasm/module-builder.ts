/**
 * A WebAssembly module: types, imports, functions, exports, and names for those who look at it in a debugger.
 *
 *     magic version | types | imports | functions | tables | globals | exports | elements | code | names
 *
 * WebAssembly core specification, 5.5. Imports must be declared before the first function, since they come first in the
 * index space.
 */
import { ByteWriter } from "./byte-writer.ts";
import type { FunctionBuilder } from "./function-builder.ts";
import { valueTypeCode, type ValueType } from "./values.ts";

export interface Signature {
  readonly parameters: readonly ValueType[];
  readonly results: readonly ValueType[];
}

const SECTION = {
  custom: 0,
  type: 1,
  import: 2,
  function: 3,
  table: 4,
  global: 6,
  export: 7,
  element: 9,
  code: 10,
} as const;
const KIND = { function: 0, table: 1, memory: 2, global: 3 } as const;
const FUNCTION_REFERENCE = 0x70;

export class ModuleBuilder {
  private readonly types: string[] = [];
  private readonly typeSection = new ByteWriter();
  private readonly importSection = new ByteWriter();
  private readonly functionSection = new ByteWriter();
  private readonly tableSection = new ByteWriter();
  private readonly elementSection = new ByteWriter();
  private readonly globalSection = new ByteWriter();
  private readonly exportSection = new ByteWriter();
  private readonly codeSection = new ByteWriter();
  private readonly nameSection = new ByteWriter();
  private readonly scratch = new ByteWriter();
  private importCount = 0;
  private importedFunctions = 0;
  private functionCount = 0;
  private importedTables = 0;
  private tableCount = 0;
  private globalCount = 0;
  private exportCount = 0;
  private nameCount = 0;

  importMemory(module: string, name: string, minimumPages: number, maximumPages: number): void {
    this.importName(module, name, KIND.memory);
    this.importSection.byte(1);
    this.importSection.unsigned(minimumPages);
    this.importSection.unsigned(maximumPages);
  }

  /** Returns the index that calls use. */
  importFunction(module: string, name: string, signature: Signature): number {
    if (this.functionCount > 0) throw new Error("imports come before functions");
    this.importName(module, name, KIND.function);
    this.importSection.unsigned(this.typeIndex(signature));
    this.nameFunction(this.importedFunctions, name);
    return this.importedFunctions++;
  }

  /** Imports a table of functions; the first table is the one that `callIndirect` uses. Returns its index. */
  importTable(module: string, name: string, minimum: number): number {
    this.importName(module, name, KIND.table);
    this.importSection.byte(FUNCTION_REFERENCE);
    this.importSection.byte(0);
    this.importSection.unsigned(minimum);
    return this.importedTables++;
  }

  /** The index that the next table gets, for functions that come before the table is added. */
  get nextTable(): number {
    return this.importedTables + this.tableCount;
  }

  /** A table of functions that cannot grow, with their indices. */
  addTable(functions: readonly number[], options?: { export: string }): void {
    const index = this.importedTables + this.tableCount++;
    this.tableSection.byte(FUNCTION_REFERENCE);
    this.tableSection.byte(1);
    this.tableSection.unsigned(functions.length);
    this.tableSection.unsigned(functions.length);
    // An active segment with an explicit table, at offset 0, of function indices.
    this.elementSection.byte(2);
    this.elementSection.unsigned(index);
    for (const byte of [0x41, 0, 0x0b, 0]) this.elementSection.byte(byte);
    this.elementSection.unsigned(functions.length);
    for (const target of functions) this.elementSection.unsigned(target);
    if (options !== undefined) this.exportAs(options.export, KIND.table, index);
  }

  /** The index of a signature, for indirect calls. */
  typeOf(signature: Signature): number {
    return this.typeIndex(signature);
  }

  /** A mutable 32-bit global; returns its index. */
  addGlobal(initial: number): number {
    this.globalSection.byte(valueTypeCode.i32);
    this.globalSection.byte(1);
    this.globalSection.byte(0x41);
    this.globalSection.signed(initial);
    this.globalSection.byte(0x0b);
    return this.globalCount++;
  }

  /** The index that calls of the next function use. */
  get nextFunction(): number {
    return this.importedFunctions + this.functionCount;
  }

  /** Adds a finished body; the builder can be reset afterwards. Returns the index that calls use. */
  addFunction(name: string, signature: Signature, body: FunctionBuilder, options?: { export?: string }): number {
    const index = this.importedFunctions + this.functionCount++;
    this.functionSection.unsigned(this.typeIndex(signature));
    body.finish(this.codeSection, this.scratch);
    this.nameFunction(index, name);
    if (options?.export !== undefined) this.exportAs(options.export, KIND.function, index);
    return index;
  }

  /** The binary module. */
  finish(): Uint8Array<ArrayBuffer> {
    const out = new ByteWriter();
    for (const byte of [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0]) out.byte(byte);
    this.section(out, SECTION.type, this.types.length, this.typeSection);
    this.section(out, SECTION.import, this.importCount, this.importSection);
    this.section(out, SECTION.function, this.functionCount, this.functionSection);
    this.section(out, SECTION.table, this.tableCount, this.tableSection);
    this.section(out, SECTION.global, this.globalCount, this.globalSection);
    this.section(out, SECTION.export, this.exportCount, this.exportSection);
    this.section(out, SECTION.element, this.tableCount, this.elementSection);
    this.section(out, SECTION.code, this.functionCount, this.codeSection);
    this.nameCustomSection(out);
    return out.bytes.slice(0, out.length) as Uint8Array<ArrayBuffer>;
  }

  private importName(module: string, name: string, kind: number): void {
    this.importCount++;
    this.importSection.name(module);
    this.importSection.name(name);
    this.importSection.byte(kind);
  }

  private exportAs(name: string, kind: number, index: number): void {
    this.exportCount++;
    this.exportSection.name(name);
    this.exportSection.byte(kind);
    this.exportSection.unsigned(index);
  }

  private typeIndex(signature: Signature): number {
    const key = `${signature.parameters.join()}>${signature.results.join()}`;
    const known = this.types.indexOf(key);
    if (known >= 0) return known;
    this.typeSection.byte(0x60);
    for (const list of [signature.parameters, signature.results]) {
      this.typeSection.unsigned(list.length);
      for (const type of list) this.typeSection.byte(valueTypeCode[type]);
    }
    return this.types.push(key) - 1;
  }

  private nameFunction(index: number, name: string): void {
    this.nameCount++;
    this.nameSection.unsigned(index);
    this.nameSection.name(name);
  }

  private section(out: ByteWriter, id: number, count: number, content: ByteWriter): void {
    if (count === 0) return;
    this.scratch.clear();
    this.scratch.unsigned(count);
    out.byte(id);
    out.unsigned(this.scratch.length + content.length);
    out.append(this.scratch.view());
    out.append(content.view());
  }

  /** The "name" custom section with its function-names subsection (1). Specification, appendix 7.4. */
  private nameCustomSection(out: ByteWriter): void {
    const names = new ByteWriter();
    names.unsigned(this.nameCount);
    names.append(this.nameSection.view());
    const content = new ByteWriter();
    content.name("name");
    content.byte(1);
    content.unsigned(names.length);
    content.append(names.view());
    out.byte(SECTION.custom);
    out.unsigned(content.length);
    out.append(content.view());
  }
}
