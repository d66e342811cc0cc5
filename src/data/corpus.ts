import { PLOTS } from "./stories/stories.ts";
import { tell } from "./stories/story_writer.ts";

/**
 * Short English stories for children, told by a grammar of this project: something to train on when there is no file.
 * Story i depends on `seed` and i alone, so a shorter text is the beginning of a longer one.
 * @param characters length to reach: the text ends with the story that reaches it. The default suits the default run.
 * @returns ASCII text, a blank line between two stories and a newline at the end.
 */
export function generateStories(seed: number, characters = 2_000_000): string {
  const stories: string[] = [];
  for (let length = 0; length < characters; length += stories.at(-1)!.length + 2) {
    stories.push(tell(PLOTS, seed, stories.length));
  }
  return `${stories.join("\n\n")}\n`;
}
