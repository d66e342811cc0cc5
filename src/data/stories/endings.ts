import type { Template } from "./writer.ts";

/** Endings of stories in which the hero has met the friend. */
export const TOGETHER: readonly Template[] = [
  "They played together until [the sun went down|it was time for dinner|the stars came out|the moon was high].",
  "From that day on, {hero} and {friend} were [closer than ever|even better friends].",
  "{hero} and {friend} [laughed|sang|talked|skipped] all the way home.",
  "After that, they [met|played together] every [<weekday>|day|<season>|morning].",
  "Then they shared [a {food}|some {foods}] and felt <happy>.",
  "{friend} and {hero} still [laugh|smile|talk] about it today.",
  "Both of them went home <happy>.",
  '"Let us meet again [tomorrow|on <weekday>]," said {friend}, and {hero} agreed.',
  "",
];

/** Endings that suit a hero at home. */
export const ALONE: readonly Template[] = [
  "That night, {hero} went to bed with a [big|happy|sleepy] smile.",
  "It was a day that {hero} would never forget.",
  "{hero} felt <happy> for the rest of the [day|week].",
  "And {hero} fell asleep [with a happy heart|with a smile|as soon as the moon came out].",
  '"What a <nice> day," {hero} [thought|whispered|said] at bedtime.',
  "",
];

/** Endings in which a grown-up hears of what happened. */
export const TELLING: readonly Template[] = [
  "{hero} could not wait to tell {adult} all about it.",
  "That evening, {adult} [heard the whole story|listened to the whole story] and [smiled|laughed|was very proud].",
];

/** Endings that suit a hero who is away from home. */
export const OUTDOORS: readonly Template[] = [
  "{hero} [hummed a song|skipped|smiled] all the way home.",
  ...ALONE,
  ...TELLING,
];
