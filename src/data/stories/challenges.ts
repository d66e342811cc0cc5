import { ALONE, TELLING, TOGETHER } from "./endings.ts";
import type { Plot } from "./writer.ts";

const CONTESTS: Plot["tables"] = [[
  { contest: "race", practice: "ran up and down the hill" },
  { contest: "drawing contest", practice: "drew a picture" },
  { contest: "singing contest", practice: "sang in the bath" },
  { contest: "jumping contest", practice: "jumped over <several> logs" },
  { contest: "baking contest", practice: "baked a new cake" },
  { contest: "swimming race", practice: "swam across the lake" },
  { contest: "spelling contest", practice: "learned <several> new words" },
  { contest: "dancing contest", practice: "danced in the kitchen" },
  { contest: "boat race", practice: "rowed around the island" },
], [{ where: "at school" }, { where: "at the fair" }, { where: "in the village" }]];
const CONTEST_BEGINNING: Plot["sentences"] = [
  [
    "{hero} wanted to win the {contest} {where}.",
    "{day}, {hero} heard about a big {contest} {where}.",
    "There was a {contest} {where}, and {hero} wanted to win it.",
  ],
  [
    "Every day, {he} {practice}.",
    "For <several> weeks, {he} {practice} every morning.",
    '{he} {practice} again and again until {adult} said, "Go to bed!"',
  ],
];

const CONTEST_WON: Plot = {
  tables: CONTESTS,
  sentences: [
    ...CONTEST_BEGINNING,
    [
      "When the day came, {hero} was so <scared> that {his} knees shook.",
      '"You cannot win," said {friend}. "You are too [small|young|slow]."',
      '{adult} said, "Just do your best."',
      "",
    ],
    [
      "On the big day, {hero} [thought of all the work|took a deep breath] and did very well.",
      "<several> others took part, but nobody had worked as hard.",
      "{hero} did not look left or right and gave everything.",
    ],
    [
      "{hero} won, and the prize was a {thing}!",
      "In the end, {hero} came first and got a {thing}.",
      "When they called out {hero}, {adult} cheered the loudest.",
    ],
    ['"Hard work pays off," said {adult}.', "Everyone clapped, and {hero} was <happy>.", ...ALONE],
  ],
};

const CONTEST_STOPPED: Plot = {
  tables: [[
    { mishap: "fell and hurt a foot", help: "helped {friend} to get up" },
    { mishap: "got lost on the way", help: "showed {friend} the way" },
    { mishap: "began to cry from fear", help: "held on to {friend} and told a joke" },
    { mishap: "dropped a shoe in the mud", help: "pulled the shoe out" },
    { mishap: "was dizzy and had to sit down", help: "brought some water" },
  ], [{ race: "race" }, { race: "running race" }, { race: "bicycle race" }, { race: "sack race" }, { race: "long race" }]],
  sentences: [
    [
      "{day}, {hero} was in a {race} {at_place}.",
      "There was a {race} {at_place}, and {hero} wanted to win it.",
      "{hero} and {friend} were both in a {race} {at_place}.",
    ],
    [
      "{hero} was very fast and soon [in front|ahead of everyone].",
      '"Ready, set, go!" <shouted> {adult}.',
      "The prize was a {thing}.",
    ],
    ["[Then|Halfway|Near the end], {friend} {mishap}."],
    [
      "{hero} stopped, turned around and {help}.",
      '"The prize can wait," said {hero}, who {help}.',
      "{hero} wanted to run on, but in the end {he} {help}.",
    ],
    ["The two came in last, side by side.", "The others were much faster, and the two came in last.", ""],
    [
      "But everyone clapped for them.",
      '"You won something better than a {thing}," said {adult}.',
      '"You are the real winner," said {friend}.',
    ],
    [...TOGETHER],
  ],
};

const TRY_AGAIN: Plot = {
  tables: [[
    { build: "build a tree house", fail: "the roof fell down", fix: "used longer nails", done: "it was strong and straight" },
    { build: "make a kite", fail: "the kite would not fly", fix: "gave it a longer tail", done: "it flew high above the trees" },
    {
      build: "build a little boat",
      fail: "the boat sank at once",
      fix: "filled the holes with wax",
      done: "it sailed across the pond",
    },
    {
      build: "build a sand castle",
      fail: "a wave washed it away",
      fix: "put a wall around it",
      done: "it was still there in the evening",
    },
    {
      build: "build a tower of blocks",
      fail: "the tower fell over",
      fix: "made the bottom wider",
      done: "it was taller than {adult}",
    },
    {
      build: "make a snowman",
      fail: "its head fell off",
      fix: "packed more snow around its neck",
      done: "it wore a hat and smiled",
    },
    {
      build: "bake bread",
      fail: "the loaf came out as hard as a stone",
      fix: "let the dough rest longer",
      done: "it was soft and warm",
    },
    { build: "knit a scarf", fail: "the scarf was full of holes", fix: "counted every loop", done: "it was long enough for two" },
    {
      build: "make a birdhouse",
      fail: "a strong wind broke it",
      fix: "used thicker wood",
      done: "<several> birds moved in",
    },
  ]],
  sentences: [
    ["{day}, {hero} wanted to {build}.", "{hero} had a plan: to {build}."],
    ["{he} worked hard, but {fail}.", "At first everything went well, but then {fail}.", "{he} was almost done when {fail}."],
    [
      '"I [give up|can not do it|will never do it]!" <shouted> {hero}.',
      "{he} tried <several> more times, and it was the same every time.",
      "{hero} sat down and felt <sad>.",
      "",
    ],
    [
      '"[Everyone makes mistakes|Try something new|Do not give up|Rest a little and then try again]," said {friend}.',
      '{adult} said, "[Every mistake teaches us something|Think about what went wrong]."',
      "{friend} had a {food} for {him} and a good idea.",
    ],
    ["So {hero} {fix}.", "{hero} thought about it for a while and {fix}.", "The next day, {hero} began again and {fix}."],
    ["This time, {done}!", "And look, {done}!", "It took all day, but in the end {done}."],
    ['"I am so glad that I tried again," said {hero}.', ...ALONE, ...TELLING],
  ],
};

const LEARNING: Plot = {
  tables: [[
    { skill: "swim", fail: "swallowed a lot of water", tip: "Kick your legs and breathe" },
    { skill: "ride a bike", fail: "fell off <several> times", tip: "Look ahead and not down" },
    { skill: "whistle", fail: "only blew air", tip: "Make your lips round" },
    { skill: "skate", fail: "landed on the ice", tip: "Bend your knees" },
    { skill: "read", fail: "mixed up the letters", tip: "Read one word after the other" },
    { skill: "juggle", fail: "dropped every {food}", tip: "Begin with two and not with <several>" },
    { skill: "play the flute", fail: "made an awful sound", tip: "Blow softly, like the wind" },
    { skill: "cook", fail: "put salt in the tea", tip: "Taste it before you serve it" },
    { skill: "dance", fail: "stepped on a lot of toes", tip: "Listen to the music first" },
  ]],
  sentences: [
    ["{hero} wanted to learn to {skill}.", "{day}, {hero} saw {friend} {skill} and wanted to learn it too."],
    ["The first time, {he} {fail}.", "{he} tried it right away and {fail}.", "It looked easy, but {he} {fail}."],
    [
      "Some others laughed, and {hero} felt <sad>.",
      '"I am no good at this," said {hero}.',
      '"It is too hard for me," {he} said with a sigh.',
      "",
    ],
    [
      '"{tip}," said {friend}.',
      '{friend} showed {him} how and said, "{tip}."',
      '"{tip}," {adult} told {him}. "I could not do it at first, too."',
    ],
    ["{hero} practiced every [day|morning|evening|<weekday>].", "{hero} tried again, a little better each time."],
    [
      "[By the end of <season>|After <several> weeks|One day], {he} could {skill} very well.",
      "And then, all at once, {hero} could {skill}!",
      '"Look at me!" <cheered> {hero}. "I can {skill}!"',
    ],
    ["Nobody is born a master.", "Now {hero} teaches others to {skill}.", ...ALONE],
  ],
};

export const CHALLENGE_PLOTS: readonly Plot[] = [CONTEST_WON, CONTEST_STOPPED, TRY_AGAIN, LEARNING];
