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
Atlantis Narnia Mars Utopia Nepal Bhutan Chad Mali Togo Fiji Tonga Samoa Malta Cyprus Estonia Latvia Laos Yemen Oman Ghana
Gabon Bolivia Belize Panama Jamaica Haiti Texas Bavaria Mordor Gondor Wakanda Zambia Angola Sudan Qatar Kuwait Venus
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
