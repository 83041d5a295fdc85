r"""What carries no meaning in an answer is stripped: boxes, dollars, ``\text{}``, odd signs, a lead-in, a full stop."""

from __future__ import annotations

import re

MAX_LENGTH = 2_000
BOXES = ("\\boxed", "\\fbox")
# Sets' own braces, told from those that only group.
OPEN_SET, CLOSE_SET = "\u2983", "\u2984"

SYMBOLS = str.maketrans({
    "\u2212": "-", "\u2013": "-", "\u2010": "-", "\u2011": "-", "\u00d7": "\\times ", "\u00b7": "*", "\u22c5": "*",
    "\u2217": "*", "\u00f7": "/", "\u2215": "/", "\u2044": "/", "\u03c0": "\\pi ", "\u221e": "\\infty ",
    "\u2264": "\\le ", "\u2265": "\\ge ", "\u2260": "\\ne ", "\u222a": "\\cup ", "\u2229": "\\cap ",
    "\u2208": "\\in ", "\u2205": "\\emptyset ", "\u211d": "\\mathbb{R}", "\u00b1": "\\pm ", "\u2248": "\\approx ",
    "\u2220": "\\angle ", "\u03b8": "\\theta ", "\u03b1": "\\alpha ", "\u03b2": "\\beta ", "\u03b3": "\\gamma ",
    "\u03bb": "\\lambda ", "\u03c6": "\\phi ", "\u2070": "^0", "\u00b9": "^1", "\u00b2": "^2", "\u00b3": "^3",
    "\u2074": "^4", "\u2075": "^5", "\u2076": "^6", "\u2077": "^7", "\u2078": "^8", "\u2079": "^9", "\u00ba": "\u00b0",
    "\u00bd": " 1/2", "\u00bc": " 1/4", "\u00be": " 3/4", "\u2153": " 1/3", "\u2154": " 2/3",
    "\u201c": "", "\u201d": "",
    "\u00a0": " ", "\u2009": " ", "\u202f": " ", "\u200b": "", "\u03bc": "\u00b5", "\u2192": "\\to ",
})  # fmt: skip
REPLACEMENTS = tuple((re.compile(pattern), new) for pattern, new in (
    (r"\\(?:left|right|bigl?|bigr|Bigl?|Bigr|displaystyle|textstyle|limits|nolimits)(?![A-Za-z])\.?", ""),
    (r"\\[!]", ""), (r"\\[,;: ]|\\q?quad(?![a-z])|~", " "), (r"\{,\}", ","), (r"\\[dtc]frac(?![a-z])", r"\\frac"),
    (r"\*\*", "^"), (r"\^ *(?:\{ *\\circ *\}|\\circ(?![a-z]))|\\degree(?![a-z])|\\textdegree(?![a-z])", "\u00b0"),
    (r"\\(?:leq|leqslant)(?![a-z])|<=", r"\\le "), (r"\\(?:geq|geqslant)(?![a-z])|>=", r"\\ge "),
    (r"\\in(?![a-z]) *", r"\\in "), (r"\\neq(?![a-z])|!=", r"\\ne "),
    (r"\\lt(?![a-z])", "<"), (r"\\gt(?![a-z])", ">"), (r"==", "="),
    (r"\\(?:varnothing|empty)(?![a-z])", r"\\emptyset "), (r"\\(?:lbrace|\{)", OPEN_SET),
    (r"\\(?:rbrace|\})", CLOSE_SET), (r"\\(?:lvert|rvert|vert)(?![a-z])", "|"), (r"\\%", "%"),
    (r"\\(?:approx|simeq|thickapprox)(?![a-z])", r"\\approx "), (r"\\colon(?![a-z])", ":"),
    (r"\\(?:lor|vee)(?![a-z])", " or "), (r"\\(?:land|wedge)(?![a-z])", " and "),
    (r"\\mathbb *R|\\Reals?(?![a-z])", r"\\mathbb{R}"),
))  # fmt: skip
TEXT = re.compile(
    r"\\(?:text|textbf|textit|textrm|textnormal|mathrm|mathbf|mathit|mathsf|mbox|operatorname\*?) *\{([^{}]*)\}"
)
MARKUP = re.compile(r"\*\*([^*]+)\*\*|__([^_]+)__")
WRAPPERS = (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"))
DOLLAR = re.compile(r"(?<!\\)\$")
ROOT = re.compile("\u221a *(?:\\(([^()]*)\\)|([0-9]+|[A-Za-z]))")
BARE_PI = re.compile(r"(?<![\\A-Za-z])pi(?![A-Za-z])")
LEAD_IN = re.compile(
    r"(?:(?:so|thus|hence|therefore|and|then),? )?(?:the |my |our )?(?:(?:final|correct|right) )?"
    r"(?:answer|result|solution|value)(?: (?:of|for) \S{1,20})? ?(?:is|are|:|=|equals)(?: equal to)?:? *"
    # "The area of the field is 36 m^2", "Perimeter: 36": some words that deny nothing, then a value.
    r"|(?!.{0,160}\b(?:not|never|or|if|unless|cannot)\b)(?:[a-z][a-z']{0,15},? ){0,8}[a-z][a-z']{1,15}"
    r"(?: (?:is|are|equals|measures|costs)(?: equal to)?:? +|: *)(?=[-+]?[0-9]|\\|\$)",
    re.IGNORECASE,
)


def unbox(text: str) -> str:
    r"""What stands in the last ``\boxed{}`` (or ``\fbox{}``), the innermost of boxes in boxes; else the text itself.

    Takes time linear in the length of the text, whatever it is.
    """
    start, command = max((text.rfind(command), command) for command in BOXES)
    if start < 0:
        return text
    rest = text[start + len(command) : start + len(command) + 2 * MAX_LENGTH].lstrip()
    if not rest.startswith("{"):
        return rest[:1]  # \boxed 5, as in LaTeX
    depth = 0
    for end, character in enumerate(rest):
        depth += (character == "{") - (character == "}")
        if depth == 0:
            return rest[1:end]
    return rest[1:]


def clean_answer(text: str) -> str:
    r"""Strip what carries no meaning and write what does in one way.

    Boxes (of several the last one counts), dollars, ``\text{}``, ``\left`` and ``\right``, a lead-in such as "the
    answer is", a final full stop; unicode signs become LaTeX, the braces of a set two brackets of their own.

    Args:
        text: at most 2,000 characters are meant to come here; see ``unbox`` for what shortens a longer one.
    """
    text = " ".join(MARKUP.sub(lambda match: match[1] or match[2], unbox(text)).split())
    text = _unwrap(text)
    text = LEAD_IN.sub("", text, count=1) if LEAD_IN.match(text) else text
    text = _unwrap(text)
    text = ROOT.sub(lambda match: f"\\sqrt{{{match[1] if match[1] is not None else match[2]}}}", text)
    for _ in range(2):
        text = TEXT.sub(r" \1 ", text)
    text = text.translate(SYMBOLS)
    for pattern, new in REPLACEMENTS:
        text = pattern.sub(new, text)
    text = text.strip().rstrip(".;:,").strip() if not text.rstrip().endswith("...") else text.strip()
    text = text[1:].strip() if text[:1] in ("=", "+") else text
    return " ".join(BARE_PI.sub(r"\\pi ", text).split()).replace(" ^", "^").replace(" _", "_")


def restore_latex(text: str) -> str:
    """A cleaned text as LaTeX that other readers know."""
    return text.replace(OPEN_SET, "\\{").replace(CLOSE_SET, "\\}").replace("\u00b0", "^{\\circ}")


def _unwrap(text: str) -> str:
    text = text.strip().removesuffix(".").strip()
    for start, end in WRAPPERS:
        inside = text[len(start) : -len(end)]
        if len(text) >= len(start) + len(end) and text.startswith(start) and text.endswith(end) and start not in inside:
            text = inside.strip()
    text = text.replace("\\$", "\x01")
    if len(DOLLAR.findall(text)) % 2 == 0:
        # Dollars in pairs mark mathematics inside of a sentence; a single one is money.
        text = text.replace("$", " ")
    text = text.replace("\x01", "$").replace("\\(", " ").replace("\\)", " ").replace("\\[", " ").replace("\\]", " ")
    return text.strip()
