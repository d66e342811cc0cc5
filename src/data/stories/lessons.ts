import { ALONE } from "./endings.ts";
import type { Plot } from "./writer.ts";

const TRUTH: Plot = {
  tables: [[
    { mischief: "threw a ball in the house", broken: "vase" },
    { mischief: "danced on the table", broken: "cup" },
    { mischief: "jumped on the bed", broken: "lamp" },
    { mischief: "ran through the kitchen", broken: "plate" },
    { mischief: "played with a stick indoors", broken: "mirror" },
    { mischief: "climbed on a shelf", broken: "teapot" },
    { mischief: "pulled at the tablecloth", broken: "bowl" },
    { mischief: "wanted to see how it worked", broken: "clock" },
  ]],
  sentences: [
    [
      "{day}, {hero} {mischief} and broke the {color} {broken}.",
      "{hero} {mischief}, and crash, there went the {color} {broken}!",
    ],
    [
      "{he} hid the pieces [under the rug|behind the sofa|in a drawer] and said nothing.",
      "{he} was <scared> and wanted to run away.",
      '"Maybe nobody will notice," {he} thought.',
    ],
    [
      '[In the evening|Later], {adult} asked, "[Where is my {broken}|What happened to my {broken}|Who broke my {broken}]?"',
      "Then {adult} came home and looked for the {broken}.",
    ],
    ["{hero} turned red.", "{hero} wanted to say that it was the wind, but that was not true.", "{hero} felt hot and cold.", ""],
    [
      '"It was me," said {hero}. "I am [very|so] sorry."',
      "{hero} took a deep breath and told the truth.",
      '{hero} looked at the floor and said, "I did it."',
    ],
    [
      '{adult} hugged {him} and said, "Thank you for telling me the truth."',
      "{adult} was not angry, and together they glued the {broken}.",
      '"A {broken} can be fixed," said {adult}. "[A lie is harder to fix|I am glad you told me]."',
    ],
    [
      "{hero} learned that the truth makes your heart feel light.",
      "{hero} helped in the kitchen all week to make up for it.",
      "That night, {hero} slept very well.",
      "From then on, {hero} [never lied again|was more careful].",
      "{hero} felt <happy> again.",
    ],
  ],
};

const WARNING: Plot = {
  tables: [[
    {
      rule: "Do not go out without your coat",
      deed: "ran outside without it",
      result: "{he} began to sneeze and shiver",
      care: "made hot soup for {him}",
    },
    {
      rule: "Do not eat too many {foods}",
      deed: "ate <several> of them",
      result: "{his} tummy began to hurt",
      care: "made some tea for {him}",
    },
    {
      rule: "Do not climb that wall",
      deed: "climbed to the very top",
      result: "{he} fell and hurt {his} knee",
      care: "put a bandage on it",
    },
    {
      rule: "Do not run on the wet stones",
      deed: "ran as fast as {he} could",
      result: "{he} slipped and fell into the cold water",
      care: "wrapped {him} in a warm blanket",
    },
    {
      rule: "Do not taste the soup yet, it is hot",
      deed: "took a big sip",
      result: "{his} tongue was burning",
      care: "gave {him} a glass of cold milk",
    },
    {
      rule: "Do not shake that tree, the bees are sleeping",
      deed: "shook it hard",
      result: "the bees chased {him} all the way home",
      care: "closed the door just in time",
    },
    {
      rule: "Please close the gate",
      deed: "left it wide open",
      result: "all the chickens ran away",
      care: "helped {him} to bring them back",
    },
    {
      rule: "Do not touch the paint, it is wet",
      deed: "leaned on the fence",
      result: "{his} back was as {color} as the fence",
      care: "found some soap",
    },
    {
      rule: "Do not let go of the balloon",
      deed: "let go to wave at {friend}",
      result: "it was only a dot in the sky",
      care: "found another one",
    },
  ]],
  sentences: [
    ['{day}, {hero} heard {adult} say, "{rule}."', '{hero} was ready to play when {adult} said, "{rule}."'],
    [
      '"Yes, yes," said {hero}, but a minute later {he} {deed}.',
      "But {hero} did not listen and {deed}.",
      "But {hero} soon forgot about it and {deed}.",
    ],
    ["[Before long|A little later|Soon], {result}.", "It did not end well: {result}.", "And of course, {result}."],
    ['"Oh no!" <shouted> {hero}.', "{hero} felt <sad> and a little silly.", "That was not funny at all.", ""],
    [
      "{adult} came <quickly> and {care}.",
      "Without a word, {adult} {care}.",
      '"[There, there|That can happen]," said {adult}, who {care}.',
    ],
    [
      '"Next time, I will listen," said {hero}.',
      '"You were right," {hero} said in a small voice.',
      "{hero} said sorry and got a hug.",
      '"I only wanted to help you," said {adult}.',
    ],
    [
      "From that day on, {hero} [always|almost always] listened.",
      "{hero} never did that again.",
      "It was a day that {hero} would never forget.",
      "After a good night, everything was fine again.",
      "{hero} learned that {adult} was often right.",
      "",
    ],
  ],
};

const NIGHT: Plot = {
  tables: [[
    { fear: "heard a strange noise in the attic", truth: "a bird that had come in through the window" },
    { fear: "saw two green eyes in a corner", truth: "only a cat" },
    { fear: "saw a long shadow on the wall", truth: "only a coat on a chair" },
    { fear: "heard something scratch at the door", truth: "a branch in the wind" },
    { fear: "heard a soft knock under the floor", truth: "a family of mice at a party" },
    { fear: "saw something white in the yard", truth: "a sheet on the line" },
    { fear: "heard deep growls from the next room", truth: "{adult}, who was snoring" },
    { fear: "heard a bang in the kitchen", truth: "{adult}, who was looking for a {food}" },
    { fear: "saw a small light move {at_place}", truth: "{friend} with a lantern" },
  ]],
  sentences: [
    [
      "[One dark night|Late one evening|One stormy night|In the middle of the night], {hero} {fear}.",
      "{hero} was almost asleep when {he} {fear}.",
    ],
    [
      "{he} was <scared> and pulled the blanket up to {his} nose.",
      "{his} heart beat like a drum.",
      '"Who is there?" {he} whispered, but nobody answered.',
    ],
    ['"What if it is a [monster|ghost|dragon]?" {hero} thought.', "{hero} counted to <several> and hugged {his} {object}.", ""],
    [
      "Then {he} took {his} little lamp and went to look.",
      "But {hero} wanted to be brave and got out of bed.",
      "<slowly>, {he} went closer and closer.",
    ],
    ["It was {truth}!", "In the end, it was {truth}!", "In the light of the lamp, {he} saw what it was: {truth}!"],
    [
      "{hero} laughed out loud and was not afraid anymore.",
      '"You are not scary at all," said {hero}.',
      "{hero} went back to bed and fell asleep at once.",
    ],
    [
      "After that, the dark did not seem so dark.",
      "Most scary things are small when you look at them.",
      "The next morning, {adult} heard the story and laughed.",
      '"Good night, [moon|house|world]," {hero} whispered.',
      "{hero} was the bravest {hero_kind} in the house.",
      "",
    ],
  ],
};

const SEED: Plot = {
  tables: [[
    { seed: "sunflower seed", plant: "a tall sunflower" },
    { seed: "apple seed", plant: "a tiny apple tree" },
    { seed: "pumpkin seed", plant: "a round pumpkin" },
    { seed: "bean", plant: "a long green vine" },
    { seed: "carrot seed", plant: "a big carrot" },
    { seed: "strange seed", plant: "a flower that nobody could name" },
    { seed: "tulip bulb", plant: "a {color} tulip" },
    { seed: "acorn", plant: "a very small oak" },
  ]],
  sentences: [
    [
      "{day}, {hero} got a {seed} from {adult}.",
      "{day}, {hero} found a {seed} {spot}.",
      "{hero} wanted to grow something and bought a {seed}.",
    ],
    ["{he} put it in the ground and gave it some water.", '"Water it every day and wait," said {adult}.'],
    [
      "The next morning, {he} ran out to look, but there was nothing to see.",
      "{he} sat next to it all day, but nothing happened.",
      "After <several> days, there was still nothing but dirt.",
    ],
    [
      '"It will never grow," said {hero}.',
      '{friend} laughed and said, "[It is asleep|You need a lot of time for that]."',
      "{hero} sang to it, because {he} thought that might help.",
      "",
    ],
    [
      "Then the rain came, and after the rain came the sun.",
      "Every day, {hero} brought water and talked to it.",
      '{adult} said, "Good things take time."',
    ],
    [
      "One morning in <season>, there was {plant}!",
      "<several> weeks later, {plant} was standing there!",
      "In the end, it grew and grew and became {plant}!",
    ],
    ["{hero} learned to be patient.", "{hero} danced around it <several> times.", ...ALONE],
  ],
};

export const LESSON_PLOTS: readonly Plot[] = [TRUTH, WARNING, NIGHT, SEED];
