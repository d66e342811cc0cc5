import { TOGETHER } from "./endings.ts";
import type { Plot } from "./writer.ts";

const LOST: Plot = {
  sentences: [
    [
      "{day}, {hero} [took|carried|brought] {his} {thing} to {place}.",
      "{hero} had a {thing} and took it everywhere, even to {place}.",
      "{day}, {hero} went to {place} with a {thing} from {adult}.",
      "{hero} liked nothing better than playing with {his} {thing} {at_place}.",
    ],
    [
      "But when it was time to go home, the {object} was [gone|missing|nowhere to be seen].",
      "But [after lunch|a little later], {he} [noticed|saw] that it was [gone|missing].",
      "Then {he} looked into {his} bag, and the {object} was not there!",
      "{he} put it down for a minute, and then {he} could not find it.",
    ],
    [
      "{he} looked {spot}, but there was [nothing|only a beetle|only dry grass].",
      "{he} searched [high and low|for a long time|all morning] and felt <sad>.",
      "{hero} sat down {spot} and began to cry.",
      '"Where can it be?" {he} asked, and {his} voice was very small.',
      "",
    ],
    [
      '{friend} saw {him} and asked, "[What is wrong|Why do you look so sad|What are you looking for]?"',
      '"Do not [cry|worry]," said {friend}. "We [will|can] find it together."',
      "{friend} [came by and offered|stopped to ask what had happened and promised] to help.",
    ],
    [
      "Together they looked {spot2} and asked everyone they met.",
      "They turned around and walked back [slowly|without talking], looking at every step.",
      "They looked {spot2} first, and then they looked everywhere else.",
      "",
    ],
    [
      "At last, {friend} [saw|spotted|noticed] something {adjective} {spot3}.",
      "[Finally|At last|Soon], they found the {object} {spot3}.",
      '"Look!" <cheered> {friend}. "Your {object} is {spot3}!"',
      "A [bird|puppy|breeze] had moved it, and there it was, {spot3}.",
    ],
    [
      "{hero} thanked {friend} and held the {object} very tightly.",
      "{hero} was <happy> and promised to [be more careful|take better care of it].",
      '"Thank you, {friend}," said {hero}. "You are a [true|great|good] friend."',
      ...TOGETHER,
    ],
  ],
};

const FOUND: Plot = {
  sentences: [
    [
      "{day}, {hero} found a {thing} {spot}.",
      "{day}, {hero} was walking {at_place} and saw a {thing} {spot}.",
      "{hero} was playing {at_place} when {he} stepped on something: it was a {thing}!",
    ],
    [
      "It was so [pretty|nice|lovely] that {hero} wanted to keep it.",
      '{he} picked it up and thought, "[Whose {object} is this?|Who has lost this {object}?|Somebody must miss this {object}.]"',
      '"[I wonder whose {object} this is|Somebody must be looking for this]," {he} said to {himself}.',
    ],
    [
      "{he} asked everyone {he} met, but nobody had lost a {object}.",
      '{he} put up a little sign that said, "Found: one {thing}."',
      "{adult} said that somebody might be very sad without it.",
      "",
    ],
    [
      "Then {he} met {friend}, who was looking for [something|a lost {object}] {spot2}.",
      "[Soon|After a while], {friend} came by with [a long face|wet eyes].",
      "Not far away, {friend} was sitting {spot3} and crying.",
    ],
    [
      '"[Is this yours|Did you lose this|Does this belong to you]?" asked {hero}, holding out the {object}.',
      "{hero} gave the {object} back [right away|with a smile|<quickly>].",
      "{hero} wanted to hide the {object}, but then {he} [gave it back|held it out].",
    ],
    [
      '{friend} [jumped up and down|clapped|danced in a circle] and said, "Thank you[| so much| very much]!"',
      "{friend} hugged the {object} first and {hero} second.",
      '"You found it!" <cheered> {friend}. "It was a present from my [grandma|grandpa|mom|dad]."',
    ],
    [
      "{hero} felt <happy>, because giving it back was the right thing to do.",
      "{hero} learned that a happy friend is better than a {thing}.",
      ...TOGETHER,
    ],
  ],
};

const STUCK: Plot = {
  tables: [[
    { trap: "was stuck in the mud", tool: "a long rope", rescue: "pulled {friend} out" },
    { trap: "had fallen into a deep hole", tool: "a strong rope", rescue: "helped {friend} to climb out" },
    { trap: "was stuck in a tall tree", tool: "a ladder", rescue: "helped {friend} to climb down" },
    { trap: "was caught in a thorn bush", tool: "a long stick", rescue: "pushed the thorns away" },
    { trap: "was sitting on a rock in the middle of the water", tool: "a wide board", rescue: "made a bridge" },
    { trap: "was locked in a shed", tool: "a rusty key", rescue: "opened the door" },
    { trap: "was tangled in an old net", tool: "a pair of scissors", rescue: "cut the net" },
    { trap: "was lost in the thick fog", tool: "a bright lamp", rescue: "led {friend} out of the fog" },
    { trap: "had one foot under a fallen branch", tool: "a thick stick", rescue: "lifted the branch" },
  ]],
  sentences: [
    [
      "{day}, {hero} was on the way to {place} when {he} heard a [small|sad|strange|loud] cry.",
      "{day}, {hero} was [picking flowers|looking for {foods}|taking a walk] when somebody called for help.",
      "{hero} was [eating a {food}|whistling a song] near {place} and heard a voice.",
    ],
    [
      '"Help! [Help|Please help me|Is anybody there]!" <shouted> {friend}, who {trap}.',
      "It was {friend}, who {trap}.",
      "{he} looked around and saw that {friend} {trap}.",
    ],
    [
      "{hero} tried [and tried|to help alone], but it did not work.",
      "At first, {hero} did not know what to do.",
      '"Stay calm," said {hero}. "I [have an idea|will be back soon]."',
      '"I have been here [since breakfast|for <several> hours]," {friend} said sadly.',
      "",
    ],
    [
      "{hero} ran [home|to the farm|to the village] and came back with {tool}.",
      "Then {hero} saw {tool} {spot} and had a clever idea.",
      "{hero} got {tool} from {adult} and [hurried|ran] back.",
    ],
    [
      "<slowly>, {he} {rescue}.",
      "It was hard work, but {hero} {rescue} [at last|in the end].",
      "{he} counted to three, took a deep breath and {rescue}.",
    ],
    [
      '"[You saved me|I am free|You are so clever]!" <cheered> {friend}.',
      "{friend} was <happy> and gave {hero} [a big hug|{given_foods}|a {thing}].",
      '"How can I ever thank you?" asked {friend}.',
    ],
    [
      '"[Anyone would do the same|That is what friends are for|You would do the same for me]," said {hero}.',
      ...TOGETHER,
    ],
  ],
};

const NEW_FRIEND: Plot = {
  sentences: [
    [
      "{hero} was new in the village and did not know anyone.",
      "{day}, {hero} sat alone {at_place} and felt <sad>.",
      "{hero} had a {thing} but nobody to play with.",
      "{day}, {hero} went to {place} and hoped to find a friend.",
    ],
    [
      "{he} saw {new_friend}, who was [playing with a {thing2}|reading a book|eating a {food}|drawing in the sand] {spot}.",
      "Then {new_friend} [looked up and waved|came closer and waved].",
      "{new_friend} was sitting {spot2}, all alone too.",
    ],
    [
      "{hero} wanted to say hello, but {he} was too shy.",
      "{hero} took a deep breath and walked over [slowly|step by step].",
      "For a while, the two only looked at each other.",
      "",
    ],
    [
      '"Do you want to [play with me|share my {food}|see my {object}]?" asked {hero}.',
      '"My name is {hero}," said {hero}. "What is yours?"',
      '"Hello," said {friend}. "[Would you like to play?|I am {friend}.|Do you like {foods}?]"',
    ],
    [
      "They [built a tower|played hide and seek|climbed a tree|looked for bugs|told each other riddles] and laughed a lot.",
      "{friend} knew a [funny song|good game|secret path] and showed it to {hero}.",
      "Soon they found out that both of them loved to <hobby>.",
    ],
    [
      "When it was time to go, {friend} gave {hero} a {food}.",
      '"Will you come back [tomorrow|on <weekday>]?" asked {friend}.',
      '{hero} ran home and said to {adult}, "I have a friend!"',
      "",
    ],
    ["{hero} was not lonely anymore.", "And that is how {hero} and {friend} became friends.", ...TOGETHER],
  ],
};

const SICK: Plot = {
  tables: [[
    { gift: "a pot of hot soup", thanks: "This soup is better than medicine" },
    { gift: "a bunch of flowers", thanks: "Now my room smells like spring" },
    { gift: "a book with many pictures", thanks: "Please read me one more page" },
    { gift: "a funny drawing", thanks: "I laughed so much that my cough is gone" },
    { gift: "<several> {foods}", thanks: "These are just what I needed" },
    { gift: "a {thing}", thanks: "I will keep this next to my bed" },
  ]],
  sentences: [
    [
      "{day}, {hero} waited for {friend} {at_place}, but nobody came.",
      "{day}, {hero} heard that {friend} was [sick|in bed with a cold].",
      "{hero} and {friend} played together every day, but on <weekday> {friend} stayed in bed with a cold.",
    ],
    [
      '"Poor {friend}," {hero} thought. "I [must do something|will go and visit]."',
      '{adult} said, "{friend} needs rest and something nice."',
      "{hero} was <sad>, because playing alone was no fun.",
      "",
    ],
    [
      "So {hero} went to visit with {gift}.",
      "{he} thought for a long time, and then {he} packed {gift}.",
      "With some help from {adult}, {hero} got {gift} ready and set out.",
    ],
    [
      "It was [raining hard|very windy|a long walk], but {hero} did not turn back.",
      "{friend} was lying under <several> blankets and sneezed loudly.",
      "{he} knocked [softly|two times|three times] and went in.",
      "",
    ],
    [
      '"{thanks}," said {friend}.',
      '{friend} sat up, smiled and said, "{thanks}."',
      '"{thanks}!" <cheered> {friend} with a red nose.',
    ],
    [
      "They played a quiet game until {friend} fell asleep.",
      "{hero} stayed all afternoon and told <several> stories.",
      "The next [morning|week], {friend} felt much better.",
      "A few days later, {friend} was well again and came to {place}.",
    ],
    [
      "A good friend is the best medicine.",
      "{hero} learned that a visit can make a bad day good.",
      "{friend} never forgot that visit.",
      "And when {hero} was sick in <season>, {friend} did the same.",
      "From that day on, {hero} and {friend} were [closer than ever|even better friends].",
      "",
    ],
  ],
};

export const FRIEND_PLOTS: readonly Plot[] = [LOST, FOUND, STUCK, NEW_FRIEND, SICK];
