import data from "./stories.json" with { type: "json" };

/**
 * Text with `[this|that|]` (one of these), `<happy>` (a word of that list) and `{hero}` (a fact of the story). Facts
 * may be templates. `{hero}` and `{friend}` introduce themselves where they first stand ("a shy fox named Tom"), so the
 * first sentence of a plot must name its hero before any pronoun, and neither may be a possessive the first time.
 */
export type Template = string;

/** Templates by the names under which others call for them. */
export type Facts = Readonly<Record<string, Template>>;

/** Sentences that tell a story in order. */
export interface Plot {
  /** Facts that belong together: one row of each table is taken. */
  readonly tables?: readonly (readonly Facts[])[];
  /** For each sentence the ways to say it; an empty one leaves the sentence out. */
  readonly sentences: readonly (readonly Template[])[];
}

/** The words of the stories. They are used as they stand after "a"; the writer turns "a apple" into "an apple". */
interface Words {
  readonly girls: readonly string[];
  readonly boys: readonly string[];
  readonly animals: readonly string[];
  /** Grown-ups of the main character: the name after "his" or "her", and true for "she". */
  readonly adults: readonly (readonly [name: string, is_female: boolean])[];
  /** Places with their preposition, and spots in which a thing can lie and a friend can sit. */
  readonly places: readonly (readonly [preposition: string, place: string, spots: readonly string[]])[];
  /** Things that a small hand can carry, lose, find, give and swap. */
  readonly objects: readonly string[];
  readonly colors: readonly string[];
  readonly object_adjectives: readonly string[];
  /** One and many, so that numbers agree. */
  readonly foods: readonly (readonly [one: string, many: string])[];
  readonly numbers: readonly string[];
  /** Lists that templates name in angle brackets. A list gives no word twice in one story while it has others. */
  readonly lists: Readonly<Record<string, readonly string[]>>;
}

export const WORDS = data.words as unknown as Words;

/** A way that is "@together" stands for all the endings of that name. */
const endings: Readonly<Record<string, readonly Template[]>> = data.endings;
const expand = (way: Template): readonly Template[] => (way.startsWith("@") ? endings[way.slice(1)]! : [way]);

export const PLOTS: readonly Plot[] = (data.plots as unknown as readonly Plot[]).map(({ tables, sentences }) => ({
  ...(tables && { tables }),
  sentences: sentences.map((ways) => ways.flatMap(expand)),
}));
