import { uniform } from "../../random/philox.ts";
import { type Facts, type Plot, type Template, WORDS } from "./stories.ts";

/** Ways to begin, before the plot does. Half of the stories start with the plot. */
const BEGINNINGS: readonly Template[] = [
  "",
  "",
  "",
  "",
  "",
  "",
  "",
  "Once upon a time, there was {hero}.",
  "There once was {hero}, who loved to <hobby>.",
  "Once there was {hero}, who lived <home>.",
  "{hero_name} was a <trait> {hero_kind} who loved to <hobby>.",
  "{hero_name} was a <trait> {hero_kind} with [big eyes|a loud laugh|many ideas|a soft voice|a good heart|quick feet].",
  "{hero_name}, a <trait> {hero_kind}, lived with {adult} <home>.",
  "This is the story of {hero}, who liked to <hobby>.",
];

const DAYS: readonly Template[] = [
  "one day",
  "one <weather> [morning|afternoon|day]",
  "one <weather> [morning|afternoon|day]",
  "one day in <season>",
  "late in <season>",
  "early one morning",
  "on <weekday>",
  "last <season>",
  "on a <weather> <weekday> [morning|afternoon]",
  "one <season> afternoon",
];

/** Tells story number `index` of `seed`: 3 to 8 sentences on one line. */
export function tell(plots: readonly Plot[], seed: number, index: number): string {
  const story = new Story(seed, index);
  const plot = story.choose(plots);
  story.know(...(plot.tables ?? []).map((table) => story.choose(table)));
  return [BEGINNINGS, ...plot.sentences].map((ways) => story.say(ways)).filter((sentence) => sentence !== "").join(" ");
}

/** The facts and the random choices of one story. */
class Story {
  readonly #seed: number;
  readonly #index: number;
  #draws = 0;
  readonly #used: Set<string> = new Set();
  #facts: Record<string, Template> = { day: `[${DAYS.join("|")}]` };
  #is_about_hero = false;

  constructor(seed: number, index: number) {
    this.#seed = seed;
    this.#index = index;
    this.know(this.#hero(), this.#friend(), this.#adult(), this.#place(), this.#things(), this.#counts());
  }

  know(...facts: readonly Facts[]): void {
    Object.assign(this.#facts, ...facts);
  }

  choose<T>(items: readonly T[]): T {
    return items[this.#below(items.length)]!;
  }

  /** Expands one of the templates to a sentence, or to "". */
  say(templates: readonly Template[]): string {
    return this.#expand(this.#refer(this.#fresh(templates)))
      .replace(/\b([Aa]) (?=[aeiou])/g, "$1n ")
      .replace(/(?:^|[.!?] )"?[a-z]/g, (start) => start.toUpperCase());
  }

  #below(count: number): number {
    return Math.floor(uniform(this.#seed, "stories", this.#index, this.#draws++) * count);
  }

  /** An item that this story has not had yet, if there is one. */
  #fresh(items: readonly string[]): string {
    const start = this.#below(items.length);
    for (let i = 0; i < items.length; i++) {
      const item = items[(start + i) % items.length]!;
      if (item !== "" && this.#used.has(item)) continue;
      this.#used.add(item);
      return item;
    }
    return items[start]!;
  }

  #expand(template: Template): string {
    let text = template;
    while (text.includes("[")) text = text.replace(/\[([^[\]]*)\]/g, (_, ways: string) => this.choose(ways.split("|")));
    return text.replace(
      /\{(\w+)\}|<(\w+)>/g,
      (_, fact: string | undefined, list: string) =>
        fact === undefined ? this.#fresh(WORDS.lists[list]!) : this.#fact(fact),
    );
  }

  /** Half of the times, "he" or "she" in the place of the name, where the sentence before was about the hero alone. */
  #refer(template: Template): Template {
    if (template === "") return template;
    const is_clear = this.#is_about_hero && this.#below(2) === 0;
    this.#is_about_hero = /^\{(hero|hero_name|he)\}/.test(template) && !/friend|adult/.test(template);
    return is_clear ? template.replace(/^\{hero\}(?! and)/, "{he}") : template;
  }

  #fact(name: string): string {
    const text = this.#expand(this.#facts[name]!);
    if (/^(hero|friend)(_name)?$|^new_friend$/.test(name)) {
      const who = name.includes("hero") ? "hero" : "friend";
      this.#facts[who] = this.#facts[`${who}_name`]!;
    }
    return text;
  }

  #hero(): Facts {
    const { name, kind, is_female } = this.#character();
    return {
      ...pronouns("", is_female),
      hero: `a <trait> ${kind} named ${name}`,
      hero_name: name,
      hero_kind: kind,
    };
  }

  #friend(): Facts {
    const { name, kind } = this.#character();
    const known = kind === "girl" || kind === "boy"
      ? `{his} <relation> ${name}`
      : `{his} <relation> ${name} the ${kind}`;
    return {
      friend: `[${known}|${known}|a <trait> ${kind} named ${name}]`,
      new_friend: `a <trait> ${kind} named ${name}`,
      friend_name: name,
    };
  }

  #character(): { name: string; kind: string; is_female: boolean } {
    const is_female = this.#below(2) === 0;
    const kind = this.choose(["child", "animal"]) === "animal"
      ? this.#fresh(WORDS.animals)
      : is_female
      ? "girl"
      : "boy";
    return { name: this.#fresh(is_female ? WORDS.girls : WORDS.boys), kind, is_female };
  }

  #adult(): Facts {
    const [name, is_female] = this.choose(WORDS.adults);
    return { ...pronouns("adult_", is_female), adult: `{his} ${name}` };
  }

  #place(): Facts {
    const [preposition, place, spots] = this.choose(WORDS.places);
    const [spot = "", spot2 = "", spot3 = ""] = spots.map(() => this.#fresh(spots));
    return { place, at_place: `${preposition} ${place}`, spot, spot2, spot3 };
  }

  #things(): Facts {
    const object = this.#fresh(WORDS.objects), object2 = this.#fresh(WORDS.objects);
    const adjective = this.#fresh(WORDS.object_adjectives), adjective2 = this.#fresh(WORDS.object_adjectives);
    return {
      color: this.#fresh(WORDS.colors),
      object,
      object2,
      adjective,
      adjective2,
      thing: `${adjective} ${object}`,
      thing2: `${adjective2} ${object2}`,
    };
  }

  /** A food to count: `total` of it, of which `given` are given away and `left` are left. */
  #counts(): Facts {
    const [one, many] = this.choose(WORDS.foods);
    const total = 2 + this.#below(9), given = 1 + this.#below(total - 1), left = total - given;
    const count = (n: number): string => `${WORDS.numbers[n]} ${n === 1 ? one : many}`;
    return {
      food: one,
      foods: many,
      total_foods: count(total),
      given_foods: count(given),
      left_foods: count(left),
      given: WORDS.numbers[given]!,
      left: WORDS.numbers[left]!,
      number: WORDS.numbers[3 + this.#below(8)]!,
    };
  }
}

function pronouns(prefix: string, is_female: boolean): Facts {
  return {
    [`${prefix}he`]: is_female ? "she" : "he",
    [`${prefix}him`]: is_female ? "her" : "him",
    [`${prefix}his`]: is_female ? "her" : "his",
    [`${prefix}himself`]: is_female ? "herself" : "himself",
  };
}
