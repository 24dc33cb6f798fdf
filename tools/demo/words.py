"""The closed lists that the built-in model knows: words, names, places, colours, numbers.

Everything the model can be asked about is here, so that its README can say what it knows and a reader can extend it.
"""

from __future__ import annotations

WORDS: list[str] = """
cat dog cow pig hen fox owl bee ant bat rat fish bird duck goose horse sheep goat mouse snake lion tiger bear wolf deer
frog whale shark eagle zebra camel panda rabbit monkey spider turtle
sun moon star sky rain snow wind cloud storm ice fire water sea lake river hill rock sand stone earth leaf tree grass
flower forest island ocean desert winter summer spring
apple pear plum grape lemon peach banana cherry orange melon mango bread cake egg milk tea coffee juice soup rice salt
sugar honey butter cheese corn bean carrot potato tomato onion pepper
house home door window wall roof room floor bed chair table lamp clock cup plate fork spoon knife bowl box bag key book
pen paper pencil letter page word door bell rope ring coin lock basket bottle mirror carpet
car bus train boat ship bike plane truck road bridge wheel street station garden kitchen market school church castle
tower village city farm park shop
hat coat shirt shoe sock dress glove scarf button pocket belt
red green blue yellow black white pink brown grey purple silver gold
big small tall short long hot cold warm cool new old fast slow good bad hard soft wet dry clean dirty happy sad loud
quiet rich poor strong weak young early late easy heavy light dark bright empty full
run walk jump swim read write sing dance play work sleep eat drink cook open close start stop look listen learn teach
think speak laugh smile dream build
man woman boy girl baby friend king queen doctor farmer teacher sister brother mother father uncle child
hand foot head eye ear nose mouth arm leg hair face heart finger shoulder
one two three four five six seven eight nine ten
day night week month year hour minute morning evening today summer
music song drum piano guitar paint picture ball game toy kite puzzle film story
file mount shell kernel disk byte code token model linux stream server
""".split()
WORDS = sorted(set(WORDS))

# More words to spell, reverse, count and repeat in training.
MORE_WORDS: list[str] = """
able about above accept across action address afraid after again agree airport alarm album alive allow almost alone
along already amount angle animal ankle answer anyone april army around arrive artist asleep august autumn aunt author
average awake back bacon badge bake balance band bank barn base bath battle beach beard beauty become before begin
behind bell below bench beside better between beyond bicycle bitter blanket blind block blood blow board body bone
border borrow boss both bowl brain branch brave break breath brick brief bring broken brush bubble bucket bug bus
business busy cabin cable cage calm camel camera camp candle cannon canvas captain card care carry cave ceiling center
central certain chalk chance change cheap check cheese chest chicken chief chimney choice circle class clever climb clip
club coal coast cobra coconut collar college colour column comb comfort common copper corner cotton cough count country
couple course cousin cover cow cream create cricket cross crowd crown cry cube cupboard curtain curve cycle daily danger
daughter dawn december decide deep degree deliver dentist depth describe detail dinner direct discover dish distance
dollar dolphin dragon drawer drink drive drop dust eager earn east easter echo edge effort eight elbow empty end energy
engine enjoy enough enter equal error escape even every exact exam example except expect expert eyebrow fabric factory
fair fall false family famous fancy fault fear feather february fence fever few field fifty fight figure fill final fine
finish firm first fit flag flame flat flesh float flood flour fly fog fold follow forget form forty forward frame free
freeze fresh fridge front fruit fuel full fun funny future gain galaxy gallery gap garage gate gather gentle ghost giant
gift giraffe girl giver glad globe glue goal god gone grain grand gravity great ground group grow guard guess guest
guide habit hammer happen harbour hat hawk heap heat height helmet help hero hide hippo history hobby hole holiday
honest hope hospital hotel hour human hunger hungry hurry husband idea inch income indeed insect inside iron ivory
jacket jam january jar jelly join joke journey judge july jump june jungle just keen keep kettle kick kid kind kiss knee
knight knock knot label ladder lady land language large laptop last later law lawn lawyer layer lazy lead league lean
least leave left lesson level library lie life lift like limit line lip list little live load local log lonely long
loose lose lot love lower luck lunch machine magic magnet mail main make manager map marble march mark marry mask match
matter maybe meal mean measure meat medicine meet member memory merry message metal middle mile mind mine mirror miss
mistake mix modern moment money monster mood more most mud muscle museum mushroom nail name narrow nation nature near
neat neck need needle neighbour nephew nerve nest net never nice niece night nine nobody noise none noon normal north
note nothing notice novel november number nurse oak object october odd offer office often oil once onion only open opera
option order other otter oven over owner oxygen package pain pair palace palm pan panic parent parrot part party pass
past path pause peace peanut penny people pepper perfect period person phone photo pie piece pillow pilot pin pine pint
pipe pizza place plan plant plastic please plenty pocket poem poet point poison police polite pool poor popular port
post pot power present pretty price prince print prison prize problem promise proper proud public pull pump pupil puppy
pure push quarter question quick quite quiz radio rail raise ranch rare raw razor reach ready real reason record refuse
relax remain remember rent repair reply rescue rest result return reward ribbon rib rice ride right ripe rise robin
robot rocket roll root rose rough round route row royal rubber rule ruler rush saddle safe sail salad sale same sample
sauce save saw scale scene science score scout scream screen search seat second secret see seed seem seldom sell send
sense serve set settle seven shade shadow shake shallow shape share sharp shave shelf shine shock shoot shore short
shout show shower shut sick side sign silent silk simple since single size skate skill skin skirt sleeve slice slide
slip smart smell smoke smooth snail sneeze soap soccer social sofa soft soil soldier solid some song soon sort soul
sound source south space spare spark special speed spell spend spice spin spirit split sport spot spread square squirrel
stable staff stage stairs stamp state stay steal steam steel stem step stick still stomach storm straight strange straw
stream strike string student study style subject success such sudden suit sunny supper sure surface surprise swan
sweater sweet swing switch sword symbol system tail tall tank tape target task taste taxi tea team tear tennis tent term
test thank thick thief thin thing third thirst thirty thousand thread throat throne throw thumb thunder ticket tide tie
tight tile timber tin tiny tip tired title toast toe together tongue tool tooth top torch total touch tough tour towel
town track trade traffic trail travel treasure trial tribe trick trip trouble trousers true trumpet trust truth try tube
tunnel turkey turn twelve twenty twin type ugly umbrella under unit until upper useful usual valley value van vase
vegetable velvet verse very vest victory view violin virus visit voice volcano vote voyage wage wagon waist wait wake
wallet walnut want warn wash wasp waste watch wave wax weapon wear weather web wedding weekend weight welcome west whip
whisper whistle wide wife wild willow win wing wire wise wish witch without woman wonder wool world worm worry worth
wound wrap wrist wrong yard yawn yell yes yogurt zero zigzag zone zoo
""".split()
MORE_WORDS += """
acorn actor adult adventure alley almond alphabet amber ambulance anchor ancient antelope apricot apron arch archer
arena armchair arrow astronaut attic avocado axe badger bagel bakery balcony ballet balloon bamboo bandage banjo banner
barber barrel baseball basement basil battery beak beaver beetle beetroot berry billion biscuit bison blackbird
blackboard blueberry blossom blouse boiler bolt bonfire bookshop boot bracelet bracket brass broccoli bronze broom
buffalo builder bull bulldozer bumblebee bungalow burger butcher cabbage cactus calculator calendar canal canary candy
canoe caramel caravan cardboard cardigan cargo carnival carriage cartoon cashier caterpillar cathedral cauliflower cello
cement cereal chain champion channel chapel chapter charcoal cheetah chemist chess chestnut chimpanzee chipmunk
chopstick cinema cinnamon circus clay clerk cliff cloak closet clover clown cocoa cobweb coffin comet comma compass
concert cookie copy coral cork cottage couch cowboy crab cradle crane crater crayon crocodile crumb crust cucumber
cupcake curry cushion custard daffodil daisy dandelion dart deck desk dessert diamond diary dinosaur diver dollhouse
donkey donut doorbell doormat dough dove dragonfly dresser driver duckling dungeon dusk dwarf eel eggplant elevator elf
emerald engineer envelope eraser falcon fairy farmhouse feast felt ferry fiddle fiction fireplace firewood flamingo
flashlight flea flipper flock florist flute foam forehead fossil fountain freckle freezer frost fudge funnel gallon
garlic gazelle gem geography geometry gerbil ginger gladiator glacier gondola gorilla gourd grandmother grandfather
grapefruit grasshopper gravel gravy greenhouse grill guinea gull gum gym hairbrush halibut hamburger hammock hamster
handbag handle harp hatchet haystack hazelnut headache headphone hedge helicopter herb heron herring hexagon hinge
hoodie hook hoof hornet horseshoe hose hurricane hut hyena iceberg icicle iguana infant ink instrument invention jackal
jaguar jasmine jaw jellyfish jewel jigsaw joystick jug juggler kangaroo kayak ketchup keyboard kitten kiwi knuckle koala
lace ladybird lampshade lantern lavender lava leather leek lemonade leopard lettuce lighthouse lilac lime limousine
lizard llama lobster locker lollipop lunchbox lynx macaroni magician magpie mammoth mane maple marathon marker marmalade
mattress meadow medal melody mermaid meteor microphone microscope midnight mill minnow mint mole monastery mop moose
mosquito moss moth motor mountain mule mustache mustard napkin navy necklace newspaper newt nightingale noodle notebook
nugget nutmeg nutcracker oasis oat octagon octopus olive omelette opal orchard orchestra orchid ostrich outfit oval
oyster paddle pancake panther papaya parachute parade paragraph parcel parsley parsnip passport pasta pastry patch
patrol peacock pearl pebble pedal pelican penguin pentagon piglet pigeon pilgrim pillar pineapple pirate pistachio
pitcher plankton platform platypus plumber pond pony popcorn porcupine porridge porthole postcard poster potion pottery
powder prairie pretzel prune puddle pudding puffin pumpkin puppet purse pyramid python quail quarry quartz quill quilt
quiver raccoon racket radish raft raisin rake raspberry rattle raven recipe rectangle reindeer reptile rhubarb riddle
rifle rooster rosemary rug saffron sailor salamander salmon sandal sandwich sapphire sardine satellite sausage saxophone
scarecrow scissors scooter scorpion screw screwdriver seagull seal seaweed seesaw sesame shampoo shepherd sheriff shovel
shrimp shrub siren skeleton sketch skunk skyscraper sled slipper sloth slug snowball snowflake snowman spaghetti sparrow
spatula spinach splinter sponge spruce squash squid stadium stallion starfish statue stethoscope stool stork strawberry
submarine suitcase sundae sunflower sunrise sunset surgeon swallow swamp swordfish tadpole tailor tambourine tangerine
tap tart tax teapot telescope temple termite terrier thermometer thimble thistle thorn thyme tiara toad toaster toilet
tomb toothbrush tornado tortoise toucan tractor trampoline tray triangle tricycle trombone trout trowel truffle tuba
tulip tuna turnip turquoise tusk tweezers ukulele unicorn uniform universe vacuum vampire vanilla vineyard vinegar
vitamin vulture waffle walrus waltz wardrobe warrior waterfall watermelon weasel wheelbarrow whiskers wigwam windmill
windscreen wizard wombat woodpecker wreath wren wrench yacht yak yarn yeast yolk zeppelin zipper zucchini
""".split()
MORE_WORDS = sorted(set(MORE_WORDS) - set(WORDS))
# What sentences are made of besides.
SMALL_WORDS: list[str] = """
the a an i you he she it we they my your his her our is are was were be do does did have has had can will not no and or
but if in on at to from of for with by as so very too this that these those there here what when who how go goes went
come came see saw say said get got make made take took like likes want wants
""".split()

NAMES: list[str] = """
Ada Alan Alice Amir Ana Anna Ben Bella Bob Carl Carla Chen Clara Dan Dana David Dora Ed Ella Emil Emma Eric Eva Fatima
Felix Finn Frank Gina Grace Hana Hannah Hans Hugo Ida Ines Ivan Jack Jane Jim Joe John Jonas Julia Kai Kate Ken Kim Lars
Laura Lea Leo Lena Lily Lina Liam Linus Lucy Luis Luke Mara Maria Mark Marta Mary Max Maya Mia Mike Mila Mina Mohammed
Nadia Nick Nina Noah Nora Olga Olive Oscar Otto Paul Pia Peter Petra Priya Rita Robert Rosa Ruth Sam Sara Sasha Simon
Sofia Sonia Sven Tara Theo Tim Tina Tom Uma Vera Victor Wendy Will Yara Yuki Zoe Ken Dennis Grete Ravi Wei
""".split()
NAMES = sorted(set(NAMES))
# Names that no training dialogue contains: the memory questions of the evaluation use these too.
HELD_NAMES: list[str] = ["Beth", "Colin", "Elena", "Goran", "Ingrid", "Jorge", "Karin", "Marcus", "Nelly", "Tomas"]
# Names that a system prompt may give to the model.
BOT_NAMES: list[str] = [
    "Sparky",
    "Robo",
    "Pixel",
    "Nova",
    "Echo",
    "Milo",
    "Dot",
    "Zippy",
    "Luna",
    "Chip",
    "Bolt",
    "Gus",
]

CAPITALS: dict[str, str] = {
    "France": "Paris",
    "Germany": "Berlin",
    "Italy": "Rome",
    "Spain": "Madrid",
    "Portugal": "Lisbon",
    "Greece": "Athens",
    "Austria": "Vienna",
    "Poland": "Warsaw",
    "Sweden": "Stockholm",
    "Norway": "Oslo",
    "Denmark": "Copenhagen",
    "Finland": "Helsinki",
    "Ireland": "Dublin",
    "England": "London",
    "Scotland": "Edinburgh",
    "Belgium": "Brussels",
    "Hungary": "Budapest",
    "Russia": "Moscow",
    "Ukraine": "Kyiv",
    "Turkey": "Ankara",
    "Egypt": "Cairo",
    "Kenya": "Nairobi",
    "Morocco": "Rabat",
    "Japan": "Tokyo",
    "China": "Beijing",
    "India": "New Delhi",
    "Thailand": "Bangkok",
    "Vietnam": "Hanoi",
    "Iran": "Tehran",
    "Iraq": "Baghdad",
    "Canada": "Ottawa",
    "Mexico": "Mexico City",
    "Cuba": "Havana",
    "Brazil": "Brasilia",
    "Argentina": "Buenos Aires",
    "Chile": "Santiago",
    "Peru": "Lima",
    "Australia": "Canberra",
    "Iceland": "Reykjavik",
    "Croatia": "Zagreb",
    "Serbia": "Belgrade",
    "Bulgaria": "Sofia",
    "Romania": "Bucharest",
    "South Korea": "Seoul",
    "the United States": "Washington",
}
# Asked about these, the model says that it does not know.
UNKNOWN_PLACES: list[str] = """
Atlantis Narnia Mars Utopia Nepal Bhutan Chad Mali Togo Fiji Tonga Samoa Malta Cyprus Estonia Latvia Laos Yemen Oman
Ghana Gabon Bolivia Belize Panama Jamaica Haiti Texas Bavaria Mordor Gondor Wakanda Zambia Angola Sudan Qatar Kuwait
Venus
""".split()

# thing (as asked, with its article) -> (sentence start, colour)
COLOURS: dict[str, tuple[str, str]] = {
    "grass": ("Grass is", "green"),
    "snow": ("Snow is", "white"),
    "milk": ("Milk is", "white"),
    "coal": ("Coal is", "black"),
    "blood": ("Blood is", "red"),
    "gold": ("Gold is", "yellow"),
    "butter": ("Butter is", "yellow"),
    "chocolate": ("Chocolate is", "brown"),
    "silver": ("Silver is", "grey"),
    "the sky": ("The sky is", "blue"),
    "the sea": ("The sea is", "blue"),
    "the sun": ("The sun is", "yellow"),
    "the night": ("The night is", "black"),
    "a banana": ("A banana is", "yellow"),
    "a lemon": ("A lemon is", "yellow"),
    "a tomato": ("A tomato is", "red"),
    "a cherry": ("A cherry is", "red"),
    "a strawberry": ("A strawberry is", "red"),
    "a carrot": ("A carrot is", "orange"),
    "a pumpkin": ("A pumpkin is", "orange"),
    "a leaf": ("A leaf is", "green"),
    "a frog": ("A frog is", "green"),
    "a cucumber": ("A cucumber is", "green"),
    "a pig": ("A pig is", "pink"),
    "a flamingo": ("A flamingo is", "pink"),
    "an elephant": ("An elephant is", "grey"),
    "a crow": ("A crow is", "black"),
    "a swan": ("A swan is", "white"),
    "a fire engine": ("A fire engine is", "red"),
    "ketchup": ("Ketchup is", "red"),
    "mustard": ("Mustard is", "yellow"),
    "coffee": ("Coffee is", "brown"),
    "salt": ("Salt is", "white"),
    "a mouse": ("A mouse is", "grey"),
    "a plum": ("A plum is", "purple"),
    "lavender": ("Lavender is", "purple"),
    "a tree trunk": ("A tree trunk is", "brown"),
    "spinach": ("Spinach is", "green"),
    "paper": ("Paper is", "white"),
    "an orange": ("An orange is", "orange"),
}
MIXES: dict[tuple[str, str], str] = {
    ("red", "yellow"): "orange",
    ("blue", "yellow"): "green",
    ("red", "blue"): "purple",
    ("red", "white"): "pink",
    ("black", "white"): "grey",
}
COLOUR_NAMES: list[str] = "red green blue yellow black white pink brown grey purple orange silver gold".split()

DAYS: list[str] = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS: list[str] = """
January February March April May June July August September October November December
""".split()
MONTH_DAYS: list[int] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
ORDINALS: list[str] = "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth".split()
NUMBER_WORDS: list[str] = """
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen
nineteen twenty
""".split()
