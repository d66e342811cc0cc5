/** The label of a position whose loss does not count: no class and no token has this number. */
export const IGNORED = 0xffffffff;
