/** A storage format: how the host packs numbers into words, and the WGSL that reads them. */
export interface FormatDefinition {
  /** Numbers in a word. */
  readonly perWord: number;
  /** True if each group of numbers has a scale, so that all must be finite. */
  readonly grouped: boolean;
  /** Packs numbers into words, the scales after the last of them. */
  readonly pack: (values: Float32Array<ArrayBuffer>) => Uint32Array<ArrayBuffer>;
  /** The first `length` numbers in the words of a tensor of that length. */
  readonly unpack: (words: Uint32Array<ArrayBuffer>, length: number) => Float32Array<ArrayBuffer>;
  /**
   * WGSL that declares the tensor NAME at BINDING with ACCESS, and those of its accessors that LOAD1, LOAD2, LOAD4,
   * STORE1 and STORE4 ask for. FOURS: only those of four numbers.
   */
  readonly code: string;
}
