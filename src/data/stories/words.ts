/**
 * The words of the stories. Everything here is used as it stands after "a"; the writer turns "a apple" into "an apple".
 */

export const GIRLS: readonly string[] = words(`
  Lily Mia Anna Ella Ruby Nora Zoe Clara Emma Lucy Maya Sara Molly Alice Nina Tess Eva Amy Kate Luna Sophie Jane Polly
  Wendy Tara Bella Iris Greta Dora Holly
`);
export const BOYS: readonly string[] = words(`
  Tom Ben Max Sam Leo Finn Jack Noah Theo Oscar Hugo Eli Tim Luke Adam Owen Felix Harry Toby Henry Peter Jake Ravi Omar
  Kai Dan Ned Otto Marco Simon
`);
export const ANIMALS: readonly string[] = words(`
  rabbit fox bear mouse squirrel hedgehog cat dog puppy kitten pig goat lamb deer badger otter mole pony monkey turtle
  frog duck beaver donkey elephant panda
`);

/** Grown-ups of the main character: the name after "his" or "her", and true for "she". */
export const ADULTS: readonly (readonly [name: string, is_female: boolean])[] = [
  ["mom", true],
  ["mother", true],
  ["dad", false],
  ["father", false],
  ["grandma", true],
  ["grandpa", false],
  ["aunt", true],
  ["uncle", false],
  ["big sister", true],
  ["big brother", false],
];

/** Places with their preposition, and spots in which a thing can lie and a friend can sit. */
export const PLACES: readonly (readonly [preposition: string, place: string, spots: readonly string[]])[] = [
  ["in", "the park", ["under a bench", "behind the swings", "near the pond", "next to the slide"]],
  ["in", "the garden", ["under a bush", "behind the shed", "between the roses", "beside the gate"]],
  ["in", "the forest", ["under a fern", "behind a tall tree", "next to a log", "near an old stump"]],
  ["on", "the beach", ["behind a rock", "near the waves", "next to a boat", "beside a sand castle"]],
  ["by", "the river", ["under the bridge", "behind a rock", "in the tall grass", "on the bank"]],
  ["on", "the farm", ["behind the barn", "under a cart", "in the hay", "near the fence"]],
  ["on", "the hill", ["under a tree", "behind a stone wall", "in the long grass", "next to the path"]],
  ["in", "the meadow", ["among the flowers", "in the soft grass", "under a tree", "near the stream"]],
  ["at", "the playground", ["under the slide", "behind the swings", "in the sand", "next to the fence"]],
  ["at", "the market", ["behind a basket", "under a table", "next to the bread stand", "near the well"]],
  ["by", "the lake", ["in an old boat", "under the dock", "near the reeds", "on a flat stone"]],
  ["in", "the orchard", ["behind a ladder", "under an apple tree", "beside a basket", "near the wall"]],
  ["in", "the village", ["near the fountain", "behind the bakery", "on the steps", "under a lamp post"]],
  ["at", "the old mill", ["behind the door", "under the big wheel", "on a pile of sacks", "near the ladder"]],
  ["in", "the field", ["behind a haystack", "under a hedge", "near the scarecrow", "in the corn"]],
  ["at", "the station", ["under a bench", "behind a cart", "near the clock", "on the steps"]],
];

/** Things that a small hand can carry, lose, find, give and swap. */
export const OBJECTS: readonly string[] = list(`
  ball, kite, doll, drum, hat, scarf, book, whistle, button, bell, toy boat, toy train, toy car, teddy bear, umbrella,
  lantern, basket, backpack, ring, spoon, cup, key, marble, flute, mitten, blanket, ribbon, map, watch, paintbrush,
  pillow, flag, paper plane, feather, hammer, bucket, jacket, pencil, music box, purse
`);
export const COLORS: readonly string[] = words("red blue green yellow orange purple pink white black brown gray golden");
export const OBJECT_ADJECTIVES: readonly string[] = [...COLORS, ...words("old new little big tiny pretty strange striped")];

/** One and many, so that numbers agree. */
export const FOODS: readonly (readonly [one: string, many: string])[] = [
  ["apple", "apples"],
  ["cookie", "cookies"],
  ["pear", "pears"],
  ["plum", "plums"],
  ["cherry", "cherries"],
  ["muffin", "muffins"],
  ["carrot", "carrots"],
  ["pancake", "pancakes"],
  ["nut", "nuts"],
  ["berry", "berries"],
  ["peach", "peaches"],
  ["sandwich", "sandwiches"],
  ["bun", "buns"],
  ["grape", "grapes"],
  ["orange", "oranges"],
  ["cupcake", "cupcakes"],
  ["strawberry", "strawberries"],
  ["pretzel", "pretzels"],
];
export const NUMBERS: readonly string[] = words("no one two three four five six seven eight nine ten");

/** Lists that templates name in angle brackets. A list gives no word twice in one story while it has others. */
export const LISTS: Readonly<Record<string, readonly string[]>> = {
  trait: words(`
    little small kind brave curious clever shy cheerful playful gentle young quiet funny friendly sleepy busy lively silly
    polite tiny proud eager careful stubborn hungry dreamy patient merry
  `),
  happy: list("happy, glad, delighted, thrilled, full of joy, very pleased, as happy as could be, so happy"),
  sad: list("sad, upset, unhappy, gloomy, ready to cry, very sad"),
  scared: list("scared, afraid, frightened, nervous, worried, very scared"),
  hobby: list(`
    paint, sing, dance, run, swim, read, climb trees, jump in puddles, count the stars, collect shells, pick flowers, play
    hide and seek, fly kites, tell jokes, bake, build towers, draw maps, look at the clouds, chase butterflies, ask
    questions, play the drum, listen to stories, help others, make up songs, look for treasure, sleep in the sun, watch
    the birds, solve riddles
  `),
  home: list(`
    in a small house near the woods, on a quiet street, at the edge of the village, in a cozy home by the sea, on top of a
    green hill, in a tall house with a red door, next to the bakery, on a busy farm, not far from the river, in a wooden
    cabin, behind the school, at the end of a long road
  `),
  relation: list("friend, best friend, good friend, neighbor, dear friend, playmate, old friend"),
  weather: words("sunny rainy windy cloudy warm cold bright foggy cool fine quiet lovely gray golden"),
  several: words("three four five six seven eight nine ten"),
  weekday: words("Monday Tuesday Wednesday Thursday Friday Saturday Sunday"),
  season: words("spring summer autumn winter"),
  slowly: list("slowly, carefully, little by little, step by step, very gently, bit by bit"),
  quickly: list("quickly, at once, right away, without a word, as fast as the wind, in a hurry"),
  shouted: words("shouted cried called yelled"),
  cheered: words("cheered laughed shouted called"),
  nice: words("wonderful great lovely perfect beautiful sweet amazing"),
};

function words(text: string): string[] {
  return text.trim().split(/\s+/);
}

function list(text: string): string[] {
  return text.trim().split(/\s*,\s*/).map((phrase) => phrase.replace(/\s+/g, " "));
}
