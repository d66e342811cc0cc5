/** Bytes that can be read in parts: a file on the disk, a Blob of a page, a file on the hub. */
export interface ByteSource {
  /** Name for messages. */
  readonly name: string;
  /** Bytes in all. */
  readonly size: number;
  /** Bytes from `start` up to, not including, `end`. @throws RangeError if fewer are there than `size` promised. */
  read(start: number, end: number): Promise<Uint8Array<ArrayBuffer>>;
}

/** A folder of files: a local one, files that a page was given, or a repository on the hub. They look the same. */
export interface Folder {
  /** Name for messages, and for `base_model_name_or_path` of adapters. */
  readonly name: string;
  /** Opens a file; null if there is none. Names are relative, with "/" between folders. */
  open(path: string): Promise<ByteSource | null>;
}
