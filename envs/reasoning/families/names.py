"""Who and what the problems are about. The order is part of what a seed means: add at the end only."""

from __future__ import annotations

NAMES = (
    "Anna", "Ben", "Carla", "David", "Elif", "Felix", "Grace", "Hassan", "Ines", "Jonas", "Keiko", "Liam", "Maya",
    "Noah", "Olga", "Pablo", "Rosa", "Samir", "Tara", "Umar", "Vera", "Wei", "Yara", "Zoe", "Amir", "Bella", "Chen",
    "Dora", "Emil", "Farah", "Goran", "Hanna", "Ivan", "Jana", "Kofi", "Lena", "Marco", "Nadia", "Oscar", "Priya",
)  # fmt: skip
ITEMS = (
    "pens", "books", "apples", "tickets", "candles", "postcards", "mugs", "lamps", "stickers", "balls", "plates",
    "shirts", "notebooks", "flowers", "cakes", "puzzles", "scarves", "baskets", "kites", "towels",
)  # fmt: skip
COLOURS = ("red", "blue", "green", "yellow", "black", "white", "purple", "orange", "pink", "brown")
LETTERS = "ABCDEFGHIJ"
# Words that mean nothing, so that nothing but the question tells what follows.
CREATURES = (
    "blick", "dax", "fep", "gorp", "hurn", "jomp", "klim", "lusk", "morf", "nib", "plon", "quib", "rast", "sorl",
    "tove", "ulp", "vash", "wug", "yem", "zill", "brop", "crint", "drell", "flane", "grulb", "skorn", "trast",
    "smole", "prant", "shivel",
)  # fmt: skip
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
GROUPS = (
    ("teachers", "students"), ("nurses", "doctors"), ("cellists", "violinists"), ("bakers", "cooks"), 
    ("painters", "sculptors"), ("pilots", "engineers"), ("poets", "actors"), ("juniors", "seniors"),
)  # fmt: skip
