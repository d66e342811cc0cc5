/** True if a file's name, which may come from a stranger, stays below the folder that it is opened in. */
export function isInside(path: string): boolean {
  const leaves = path.split(/[/\\]/).includes("..") || path.includes("://") || path.includes("\0");
  return path !== "" && !leaves && !/^([/\\]|[A-Za-z]:)/.test(path);
}
