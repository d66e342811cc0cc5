import { ALONE, OUTDOORS, TOGETHER } from "./endings.ts";
import type { Plot } from "./writer.ts";

const BIRTHDAY: Plot = {
  sentences: [
    [
      "[on <weekday>|one <season> morning], {hero} woke up [early|with a smile], because it was {his} birthday.",
      "{hero} was turning {number} and could hardly wait.",
      "{hero} had a birthday on <weekday> and counted the days.",
    ],
    [
      "But nobody [said a word about it|seemed to remember].",
      "{he} looked for {adult}, but the house was empty.",
      "At breakfast, {adult} only read the newspaper.",
    ],
    [
      "{he} walked to {place} alone and felt <sad>.",
      '"Maybe they all forgot," {hero} [thought|whispered].',
      "{he} played with {his} {thing2}, but it was no fun.",
      "",
    ],
    [
      'Then {friend} came and said, "[Come quickly|Follow me|Close your eyes and come with me]!"',
      "In the afternoon, {friend} [pulled {him} along|took {him} by the arm|led {him} down the street].",
      "Just then, {friend} knocked at the window and waved.",
    ],
    [
      "[Behind the door|In the kitchen|In the garden], everyone was waiting with [a big cake|balloons|cake and music].",
      '"Surprise!" <cheered> everyone {hero} knew.',
      "Everybody was hiding [under the table|behind the curtain|behind the sofa] and now jumped out.",
    ],
    [
      "{friend} gave {hero} a {thing} [in a big box|with a bow on it|in shiny paper].",
      "There were {number} candles on the cake, and {hero} blew them all out.",
      "They played games, ate {foods} and danced.",
    ],
    ["It was the best birthday {hero} had ever had.", ...TOGETHER],
  ],
};

const BOX: Plot = {
  tables: [[
    { inside: "a tiny kitten", sound: "a soft sound" },
    { inside: "a smaller box with a {thing} in it", sound: "a little rattle" },
    { inside: "a note about a treasure {spot}", sound: "nothing at all" },
    { inside: "<several> little frogs", sound: "a funny croak" },
    { inside: "a {thing} that {he} had lost long ago", sound: "something roll" },
    { inside: "a treasure map", sound: "paper" },
    { inside: "a clock that sang like a bird", sound: "a quiet tick" },
    { inside: "<several> {foods}", sound: "something soft" },
  ]],
  sentences: [
    [
      "{day}, {hero} found a box [in front of the door|under the stairs|{spot2}].",
      "{day}, {hero} came home and saw a big box on the table.",
      "{day}, {hero} got a box from {adult}.",
    ],
    [
      "There was no name on it.",
      "It was wrapped in {color} paper.",
      'On it stood the words, "Do not open before <weekday>."',
      "",
    ],
    [
      "{he} held it to {his} ear and heard {sound}.",
      "{he} shook it [a little|very gently] and heard {sound}.",
      '"What could it be?" asked {hero}, walking around it <several> times.',
    ],
    [
      '"Maybe it is a {thing2}," said {friend}.',
      "{friend} [came to look too|wanted to know as well], and they guessed and guessed.",
      "{hero} tried to wait, but waiting was very hard.",
      "",
    ],
    [
      "{hero} pulled off the [string|ribbon|lid] and looked inside.",
      "At last, {hero} opened it.",
      "{hero} opened it only a little and peeked in.",
    ],
    ["Inside was {inside}!", "And there was {inside}!", "In the box lay {inside}!"],
    [
      '"[I did not expect that|What a surprise|This is the best box ever]!" <cheered> {hero}.',
      "{adult} only [smiled|winked] and said nothing.",
      ...ALONE,
    ],
  ],
};

const JOURNEY: Plot = {
  tables: [
    [
      { goal: "the top of the mountain", sight: "the whole land far below" },
      { goal: "the sea", sight: "more water than they had ever seen" },
      { goal: "the end of the rainbow", sight: "flowers in every color" },
      { goal: "the old lighthouse", sight: "ships far out on the water" },
      { goal: "the waterfall", sight: "a cloud of silver drops" },
      { goal: "the big city", sight: "a thousand lights" },
      { goal: "the hidden lake", sight: "the moon lying on the water" },
      { goal: "the castle ruins", sight: "an owl on every wall" },
    ],
    [
      { block: "a wide river", pass: "built a small raft" },
      { block: "a high wall", pass: "found a hole in it" },
      { block: "a dark tunnel", pass: "sang a brave song and walked through" },
      { block: "a fallen tree", pass: "climbed over it" },
      { block: "a cloud of thick fog", pass: "followed the sound of a bell" },
      { block: "a deep valley", pass: "crossed it on an old bridge" },
      { block: "a grumpy goat that let nobody pass", pass: "told it jokes until it laughed" },
      { block: "a sleeping bear", pass: "walked around it on tiptoe" },
      { block: "three paths that all looked the same", pass: "asked a wise owl for the way" },
    ],
  ],
  sentences: [
    [
      "{hero} and {friend} had always wanted to see {goal}.",
      "{day}, {hero} and {friend} set out to find {goal}.",
      "{day}, {hero} asked {friend} to come along to {goal}.",
    ],
    [
      "They packed {total_foods} and left before [breakfast|sunrise].",
      "{hero} took a {thing}, and {friend} took the {foods}.",
      '"Be back before dark," said {adult}.',
      "",
    ],
    [
      "On the way, they came to {block}.",
      "After <several> miles, they came to {block}.",
      "Halfway there, they stopped in front of {block}.",
    ],
    [
      '"[What do we do now|How will we get past|Should we turn back]?" asked {friend}.',
      "{friend} was <scared> and wanted to go home.",
      "They sat down and thought about it over a {food}.",
      "",
    ],
    [
      "But {hero} had an idea, and they {pass}.",
      "Together they {pass}.",
      '"We can do it," said {hero}, and so they {pass}.',
    ],
    [
      "[At last|In the evening|When the sun was low], they reached {goal} and saw {sight}.",
      "There it was at last, and before them they saw {sight}.",
    ],
    [
      '"It was worth every step," said {hero}.',
      "They sat side by side and ate the last {food}.",
      "It was late when they came home, tired but <happy>.",
      ...TOGETHER,
    ],
  ],
};

const WISH: Plot = {
  tables: [
    [
      { when: "[one clear night|late one evening|one quiet night]", event: "saw a falling star over {place}", giver: "the star" },
      { when: "{day}", event: "threw a coin into a deep well", giver: "the well" },
      { when: "{day}", event: "found a feather that shone in the dark", giver: "the feather" },
      { when: "{day}", event: "freed a golden fish from a net", giver: "the fish" },
      { when: "[one winter morning|on a cold <weekday>]", event: "saw the first snow of the year", giver: "the sky" },
      { when: "{day}", event: "found a tiny lamp {spot}", giver: "the lamp" },
    ],
    [
      { wish: "to fly", result: "a strong wind lifted {his} umbrella, and {he} flew over the roofs" },
      { wish: "for a new friend", result: "{new_friend} moved into the house next door" },
      { wish: "to be very small", result: "every flower was as tall as a tree" },
      { wish: "to talk with the birds", result: "a bird sat at the window and wished {him} a good morning" },
      { wish: "to see the sea", result: "{adult} packed a bag and took {him} to the sea" },
      { wish: "for a {thing}", result: "a {thing} was lying in front of the door" },
      { wish: "for the rain to stop", result: "a rainbow stood over {place}" },
      { wish: "for an adventure", result: "a map with a red cross was lying under {his} pillow" },
      { wish: "to be taller", result: "{his} shoes were too small, and {adult} laughed" },
      { wish: "for {number} {foods}", result: "{number} {foods} hung from the apple tree" },
    ],
  ],
  sentences: [
    ["{when}, {hero} {event}."],
    [
      '"Make a wish," {giver} seemed to say.',
      "{adult} had once said that {giver} could make a wish come true.",
      "Everyone knows what to do then.",
      "",
    ],
    [
      "{he} closed {his} eyes and wished {wish}.",
      "{hero} wished {wish} with all {his} heart.",
      "More than anything, {hero} wished {wish}.",
    ],
    ["{he} waited and waited, but nothing happened.", "Nothing happened, so {he} went to bed and felt <sad>.", ""],
    ["[The next morning|The next day|When {he} woke up the next day], {result}.", "Then came <weekday>, and {result}."],
    [
      '"My wish came true!" <cheered> {hero}.',
      "{hero} could not believe {his} eyes.",
      "{hero} ran to {adult} and told {adult_him} everything.",
      "{hero} pinched {his} own arm to see if it was a dream.",
    ],
    ["{hero} said thank you to {giver}.", '{adult} smiled and said, "Be careful what you wish for."', ...ALONE],
  ],
};

const TRACKS: Plot = {
  tables: [[
    { clue: "tiny footprints", way: "to a hole under the shed", found: "a family of hedgehogs was having dinner" },
    { clue: "a line of crumbs", way: "around the house and into a bush", found: "<several> ants were carrying a {food} home" },
    { clue: "a blue thread", way: "over the fence and up a tree", found: "a bird had made a nest from {his} old sweater" },
    { clue: "white feathers", way: "across the yard", found: "a goose was sitting on <several> eggs" },
    { clue: "drops of paint", way: "down the road", found: "the baker was painting the door {color}" },
    { clue: "a sweet smell", way: "through the trees", found: "bees were making honey in a hollow trunk" },
    { clue: "muddy boot prints", way: "through the kitchen", found: "{adult} was hiding a present" },
    { clue: "a quiet song", way: "along the water", found: "an old man was playing the flute for the ducks" },
    { clue: "small green lights", way: "into the dark", found: "<several> fireflies were dancing in a ring" },
  ]],
  sentences: [
    [
      "{day}, {hero} noticed {clue} {at_place}.",
      "{day}, {hero} stepped outside and noticed {clue}.",
      "{hero} had never seen anything like it: {clue}, right by the door.",
    ],
    [
      '"Where does this come from?" {he} wondered.',
      '"That is odd," said {hero}. "[I will find out|I must know more]."',
      "{he} put on {his} [boots|cap] and took a {thing} along.",
    ],
    [
      "{friend} wanted to come too.",
      "On the way, {he} met {friend}, who was just as curious.",
      "{he} moved [slowly|on tiptoe|very gently] and made no noise.",
      "",
    ],
    ["The trail led {way}.", "It went straight {way}.", "{hero} followed the trail {way}."],
    ["There {hero} saw that {found}.", "Who would have thought it: {found}!", "At the end of it, {found}."],
    [
      '"So that is the answer," said {hero}.',
      "{hero} laughed so hard that {his} sides hurt.",
      "{hero} watched for a long time and said nothing.",
      '"Sorry to bother you," {hero} whispered and went away on tiptoe.',
    ],
    ["Not every mystery is scary.", ...OUTDOORS],
  ],
};

const NEST: Plot = {
  tables: [[
    { baby: "bird", lost: "had fallen out of its nest", home: "the nest" },
    { baby: "duckling", lost: "could not find its mother", home: "the pond" },
    { baby: "hedgehog", lost: "was shaking in the cold", home: "its warm hole" },
    { baby: "lamb", lost: "had lost its flock", home: "the flock" },
    { baby: "bat", lost: "was lying on the ground", home: "the old barn" },
    { baby: "turtle", lost: "was walking the wrong way", home: "the water" },
    { baby: "owl", lost: "was sitting on a low branch and could not fly", home: "its tree" },
  ]],
  sentences: [
    ["{day}, {hero} found a baby {baby} that {lost}.", "{day}, {hero} was {at_place} and saw a baby {baby} that {lost}."],
    ['"Poor little thing," said {hero}.', "It looked at {him} with big dark eyes.", "It was very small and very tired."],
    [
      '{hero} asked {adult}, who said, "We must be very gentle."',
      "{he} put it in {his} [hat|basket|scarf] to keep it warm.",
      "{hero} gave it some water and waited until it stopped shaking.",
      "",
    ],
    [
      "Then {he} carried it back to {home}.",
      "With {friend}, {he} brought it back to {home}.",
      "<slowly>, {hero} carried it all the way to {home}.",
    ],
    [
      "Its mother was already there and called for it.",
      "Soon its mother came, and the two snuggled up.",
      "The mother {baby} looked at {hero} as if to say thank you.",
    ],
    [
      '"Goodbye, little {baby}," {hero} whispered.',
      "{hero} came back every day to see it grow.",
      "<several> weeks later, {hero} saw it again, big and strong.",
      "",
    ],
    ["Even small hearts can do big things.", ...OUTDOORS],
  ],
};

export const DISCOVERY_PLOTS: readonly Plot[] = [BIRTHDAY, BOX, JOURNEY, WISH, TRACKS, NEST];
