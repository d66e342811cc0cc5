import { ALONE, TOGETHER } from "./endings.ts";
import type { Plot } from "./writer.ts";

const SHARING: Plot = {
  sentences: [
    [
      "{day}, {hero} got {total_foods} from {adult}.",
      "{hero} had {total_foods} in {his} [basket|bag|lunch box].",
      "{day}, {hero} bought {total_foods} [at the market|from a neighbor|in a little shop].",
    ],
    [
      "They looked so good that {hero} wanted to eat them all.",
      '"I will eat them all by myself," {he} [thought|said].',
      "{he} sat down {spot} and counted them [twice|with a smile|again and again].",
      "",
    ],
    [
      "On the way home, {he} met {friend}, who was very hungry.",
      'Then {friend} came by and said, "I [am so hungry|forgot my lunch|have not eaten all day]."',
      "Just then, {friend} sat down next to {him} and looked at the {foods}.",
    ],
    [
      "{hero} thought for a moment and gave {friend} {given_foods}.",
      '"You can have {given}," said {hero}[| with a smile| after a while].',
      "It was not easy, but {hero} gave away {given_foods}.",
    ],
    [
      "Now {hero} had {left_foods} left[|, and that was enough].",
      '"Now you have {given} and I have {left}," said {hero}.',
      "That left {left_foods} for {hero}.",
    ],
    [
      "They sat {spot2} and ate [side by side|together|until the last crumb was gone].",
      '{friend} smiled and said, "These are the best {foods} in the [world|village|land]!"',
      "{friend} [broke into a smile|said thank you] and gave {him} a {thing} in return.",
    ],
    [
      "{hero} learned that [sharing makes everything taste better|food tastes better with a friend].",
      "The next day, {friend} brought <several> {foods} for {hero}.",
      ...TOGETHER,
    ],
  ],
};

const SWAP: Plot = {
  sentences: [
    [
      "{hero} had a {thing}, and {friend} had a {thing2}.",
      "{day}, {hero} took a {thing} to {place} and met {friend}, who had a {thing2}.",
    ],
    [
      "{hero} looked at the {object2} and [wanted|liked] it very much.",
      '"Your {object2} is so <nice>," said {hero}.',
      "They looked at each other's things for a long time.",
      "",
    ],
    [
      '"[Shall we swap|Do you want to trade]? You get my {object}, and I get your {object2}," said {hero}.',
      "So {hero} gave {his} {thing} away and took the {object2}.",
      "They agreed to swap the {object} and the {object2} for <several> days.",
    ],
    [
      "At home, {hero} put the {object2} on the bed and was <happy>.",
      "At first it was fun, but then {hero} missed {his} old {object}.",
      "In the evening, {hero} could not sleep without the {object}.",
    ],
    [
      "The next day, {hero} went back, and {friend} was already waiting {spot}.",
      "Then there was a knock at the door, and {friend} stood there with the {object}.",
    ],
    [
      '"I missed my {object2}," said {friend}, and both of them laughed.',
      '"Let us swap back and play with both of them together," said {friend}.',
      "They gave everything back and [ate {foods}|played] together instead.",
    ],
    ["Some things are nice to look at, but your own are dear to you.", ...TOGETHER],
  ],
};

const PRESENT: Plot = {
  tables: [[
    { make: "painted a picture of {place}", gift: "picture" },
    { make: "baked a big {color} cake", gift: "cake" },
    { make: "sewed a pillow from old shirts", gift: "pillow" },
    { make: "made a necklace of shells", gift: "necklace" },
    { make: "wrote a little song", gift: "song" },
    { make: "carved a tiny bird from wood", gift: "bird" },
    { make: "wrote a story with <several> pages", gift: "story" },
    { make: "planted a flower in a cup", gift: "flower" },
    { make: "folded a boat from newspaper", gift: "boat" },
  ]],
  sentences: [
    [
      "{hero} wanted to give {adult} [a present|something nice|a birthday surprise].",
      "{day}, {hero} was looking for a present for {adult}.",
    ],
    [
      "{he} had only <several> coins, and everything in the shop cost more.",
      "{he} had no money, but {he} had a good idea.",
      '"The best presents are made, not bought," said {friend}.',
    ],
    ["So {hero} {make}.", "{hero} worked all [day|week|morning] and {make}.", "{hero} closed the door and {make}."],
    [
      "It was a bit [crooked|messy|strange], and {hero} was <scared>.",
      "It was not easy, and {he} had to start over <several> times.",
      "{he} wrapped it in {color} paper, and that was not easy.",
      "",
    ],
    [
      "When {adult} got the {gift}, {adult_he} [smiled|laughed|cried happy tears].",
      '"This is for you," said {hero}, giving {adult} the {gift}.',
    ],
    [
      '"This is the best {gift} in the [world|whole world]," said {adult}.',
      '{adult} gave {him} a long hug and said, "You made this {gift} yourself!"',
    ],
    ["{hero} learned that love is the best present.", ...ALONE],
  ],
};

export const GIFT_PLOTS: readonly Plot[] = [SHARING, SWAP, PRESENT];
