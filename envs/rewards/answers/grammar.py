r"""Mathematical text, LaTeX or plain, to what it is worth: a small grammar that refuses whatever it is not sure of."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction

from . import ring as exact
from .ring import Ring, TooLargeError, UnreadableError, Value
from .samples import FUNCTIONS, Samples, combine, raise_power, sample_letter, sample_number

MAX_TOKENS = 700
MAX_DEPTH = 40

TOKEN = re.compile(
    r"(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3}(?![\d.A-Za-z]))?)|(?P<command>\\[A-Za-z]+)|(?P<word>[A-Za-z]+)"
    r"|(?P<sign>[-+*/^_!(){}\[\]|\u00b0])|(?P<space>\s+)|(?P<other>.)",
    re.DOTALL | re.ASCII,
)
GREEK = frozenset(
    "alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta kappa lambda mu nu xi rho sigma tau phi varphi "
    "chi psi omega Gamma Delta Theta Lambda Sigma Phi Psi Omega ell".split()
)
PLAIN = frozenset([*FUNCTIONS, "exp", "log", "sqrt", "pi", "asin", "acos", "atan"])
ALIASES = {"asin": "arcsin", "acos": "arccos", "atan": "arctan"}
TIMES = ("*", "\\cdot", "\\times", "\\ast")
CLOSING = {"(": ")", "[": "]", "{": "}", "|": "|"}
MIXED_TAIL = re.compile(r"\{(\d+)\}\{(\d+)\}|(\d)(\d)(?!\d)")
# A letter before a bracket that a reader takes for a function.
APPLIED = frozenset("fgh")
ONE, MINUS_ONE = exact.number(1), exact.number(-1)


@dataclass(frozen=True)
class Expression:
    """What an expression is worth.

    Attributes:
        value: exactly; None where the exact arithmetic does not cover it.
        samples: at the sample points; None where that is unsure.
    """

    value: Value | None
    samples: Samples | None

    def is_constant(self) -> bool:
        """Whether it is known to hold no letters but pi, e and i."""
        return self.value is not None and self.value.certain and self.value.letters() <= {"\\pi", "e"}

    def real(self) -> float | None:
        """A constant as a number with about 12 right digits, or None."""
        if self.samples is None or not self.is_constant():
            return None
        value = self.samples.values[0]
        return value.real if value.imag == 0 else None


def read_expression(text: str) -> Expression:
    """Read an expression, in time that its length and its cost bound.

    Raises:
        UnreadableError: the text is no expression, or one that the grammar is not sure of.
        TooLargeError: it is too long, too deep, or stands for a number that is too large.
    """
    return _Parser(text).read()


class _Parser:
    def __init__(self, text: str) -> None:
        self.tokens = _tokens(text)
        self.at = 0
        self.depth = 0
        self.ring = Ring()

    def read(self) -> Expression:
        result = self.sum()
        if self.next() is not None:
            raise UnreadableError(f"{self.next()} in the wrong place")
        return result

    def next(self) -> str | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def take(self, token: str) -> bool:
        if self.next() == token:
            self.at += 1
            return True
        return False

    def demand(self, token: str) -> None:
        if not self.take(token):
            raise UnreadableError(f"{token} is missing")

    def deeper(self, step: int) -> None:
        self.depth += step
        if self.depth > MAX_DEPTH:
            raise TooLargeError("the depth")

    def sum(self) -> Expression:
        result = self.product()
        while (sign := self.next()) in ("+", "-"):
            self.at += 1
            result = self.add(result, self.product(), 1 if sign == "+" else -1)
        return result

    def product(self) -> Expression:
        negative = False
        while self.next() in ("+", "-"):
            negative ^= self.next() == "-"
            self.at += 1
        result = self.factor()
        while True:
            token = self.next()
            if token in TIMES:
                self.at += 1
                result = self.multiply(result, self.signed_factor())
            elif token in ("/", "\\div"):
                self.at += 1
                result = self.divide(result, self.signed_factor())
            elif token is not None and self.starts_factor(token):
                result = self.multiply(result, self.factor())
            else:
                return self.multiply(Expression(MINUS_ONE, sample_number(-1)), result) if negative else result

    def signed_factor(self) -> Expression:
        if self.take("-"):
            return self.multiply(Expression(MINUS_ONE, sample_number(-1)), self.factor())
        return self.factor()

    def starts_factor(self, token: str) -> bool:
        """Whether a factor without a sign of multiplication may begin here: never with a digit."""
        return token in ("(", "{") or token[0].isalpha() or (token[0] == "\\" and token not in ("\\div", *TIMES))

    def factor(self) -> Expression:
        base = self.atom()
        while True:
            if self.take("^"):
                base = self.power(base, self.exponent())
            elif self.take("!"):
                if self.next() == "!":
                    raise UnreadableError("a double factorial")
                base = self.factorial(base)
            elif self.take("\u00b0"):
                base = self.divide(self.multiply(base, _letter("\\pi")), constant(Fraction(180)))
            else:
                return base

    def exponent(self) -> Expression:
        if self.take("{"):
            return self.group("}")
        negative = self.take("-")
        base = self.atom()
        if self.take("^"):
            self.deeper(1)
            base = self.power(base, self.exponent())
            self.deeper(-1)
        return self.multiply(constant(Fraction(-1)), base) if negative else base

    def group(self, closing: str) -> Expression:
        result = self.sum()
        self.demand(closing)
        return result

    def argument(self) -> Expression:
        """What follows a command: a group, one digit (as in LaTeX), or one letter."""
        if self.take("{"):
            return self.group("}")
        token = self.next()
        if token is not None and token[0].isdigit():
            # \frac12 and \sqrt2: a command takes a digit, and what is left of the number is another token.
            self.at += 1
            if len(token) > 1:
                self.at -= 1
                self.tokens[self.at] = token[1:]
            return constant(Fraction(token[0]))
        return self.atom()

    def atom(self) -> Expression:
        self.deeper(1)
        result = self.bare_atom()
        self.deeper(-1)
        return result

    def bare_atom(self) -> Expression:
        token = self.next()
        if token is None:
            raise UnreadableError("the text ends too early")
        self.at += 1
        if token[0].isdigit() or token[0] == ".":
            if len(token) > 400 and not token.isdigit():
                raise TooLargeError("a number")
            return self.mixed_number(token)
        if token in ("(", "[", "{"):
            return self.group(CLOSING[token])
        if token == "|":
            return self.absolute(self.group("|"))
        if token[0].isalpha():
            return self.name(token)
        if token[0] == "\\":
            return self.command(token[1:])
        raise UnreadableError(f"{token} in the wrong place")

    def mixed_number(self, token: str) -> Expression:
        """A number, or a mixed one: digits right before a proper fraction of digits."""
        value = Fraction(token)
        if token.isdigit() and self.next() == "\\frac":
            # Looked at without being read: what fails to be one must not be read twice.
            following = "".join(self.tokens[self.at + 1 : self.at + 7])
            if match := MIXED_TAIL.match(following):
                top, bottom = (int(match[1] or match[3]), int(match[2] or match[4]))
                if 0 < top < bottom:
                    self.at += 7 if match[1] else 2
                    value += Fraction(top, bottom)
        return constant(value)

    def name(self, name: str) -> Expression:
        if self.take("_"):
            name = f"{name}_{self.subscript()}"
        elif name in APPLIED and self.next() == "(":
            raise UnreadableError("a function that is not known")
        return _letter("#i" if name == "i" else name)

    def subscript(self) -> str:
        if not self.take("{"):
            self.at += 1
            return self.tokens[self.at - 1] if self.at <= len(self.tokens) else ""
        words = []
        while not self.take("}"):
            if self.next() is None:
                raise UnreadableError("} is missing")
            words.append(self.next() or "")
            self.at += 1
        return " ".join(words)

    def command(self, name: str) -> Expression:
        if name == "pi":
            return _letter("\\pi")
        if name == "frac":
            top = self.argument()
            return self.divide(top, self.argument())
        if name == "sqrt":
            return self.square_root()
        if name == "binom":
            return self.binomial(self.argument(), self.argument())
        if name in FUNCTIONS or name in ("exp", "log"):
            return self.function(name)
        if name in GREEK:
            return self.name(f"\\{name}")
        raise UnreadableError(f"the command {name}")

    def square_root(self) -> Expression:
        degree = 2
        if self.take("["):
            token = self.next() or ""
            if not (token.isdigit() and len(token) < 3):
                raise UnreadableError("the degree of a root")
            degree = int(token)
            self.at += 1
            self.demand("]")
        base = self.group(")") if self.take("(") else self.argument()
        value = None if base.value is None else self._try(lambda value: self.ring.root(value, degree), base.value)
        return Expression(value, combine(lambda x: raise_power(x, complex(1 / degree)), base.samples))

    def function(self, name: str) -> Expression:
        """A function of a bracket, or of the factors that follow it; an exponent may stand before its argument."""
        subscript, exponent = "", None
        if self.take("_"):
            subscript = self.subscript()
        if self.take("^"):
            exponent = self.exponent()
        if self.next() in ("(", "{"):
            inside = self.atom()
        else:
            inside = self.factor()
            while (token := self.next()) is not None and (token[0].isalpha() or token[1:] in (*GREEK, "pi", "frac")):
                inside = self.multiply(inside, self.factor())
        if name == "exp":
            result = self.power(_letter("e"), inside)
        else:
            # Without a base a logarithm is one of several: it is equal to itself, and no more can be said.
            apply = FUNCTIONS.get(name) if not subscript else None
            samples = combine(apply, inside.samples) if apply is not None else None
            key = None if inside.value is None else inside.value.key()
            value = None if key is None else exact.letter(f"{name} {subscript} {key}", certain=False)
            result = Expression(value, samples)
        if exponent is None:
            return result
        if exponent.value is None or exponent.value.rational() in (None, -1):
            raise UnreadableError("the inverse of a function")
        return self.power(result, exponent)

    def add(self, one: Expression, other: Expression, sign: int) -> Expression:
        value = self._try(lambda a, b: self.ring.add(a, b, sign), one.value, other.value)
        return Expression(value, combine(lambda a, b: a + sign * b, one.samples, other.samples))

    def multiply(self, one: Expression, other: Expression) -> Expression:
        value = self._try(self.ring.multiply, one.value, other.value)
        return Expression(value, combine(lambda a, b: a * b, one.samples, other.samples))

    def divide(self, one: Expression, other: Expression) -> Expression:
        value = self._try(self.ring.divide, one.value, other.value)
        samples = combine(lambda a, b: a / b, one.samples, other.samples)
        if other.value is None and other.samples is not None and min(map(abs, other.samples.values)) < 1e-6:
            samples = None
        return Expression(value, samples)

    def power(self, base: Expression, exponent: Expression) -> Expression:
        value = self._try(self.ring.power, base.value, exponent.value)
        return Expression(value, combine(raise_power, base.samples, exponent.samples))

    def factorial(self, base: Expression) -> Expression:
        count = base.value.rational() if base.value is not None else None
        if count is None or count.denominator != 1 or count < 0:
            raise UnreadableError("a factorial")
        if count > 1_000:
            raise TooLargeError("a factorial")
        return constant(Fraction(math.factorial(int(count))))

    def binomial(self, one: Expression, other: Expression) -> Expression:
        numbers = [part.value.rational() if part.value is not None else None for part in (one, other)]
        if any(part is None or part.denominator != 1 or part < 0 for part in numbers):
            raise UnreadableError("a binomial coefficient")
        top, bottom = (int(part) for part in numbers if part is not None)
        if top > 1_000:
            raise TooLargeError("a binomial coefficient")
        return constant(Fraction(math.comb(top, bottom)))

    def absolute(self, inside: Expression) -> Expression:
        value = inside.real()
        samples = combine(lambda x: complex(abs(x)), inside.samples)
        if value is None or abs(value) < 1e-9:
            return Expression(exact.number(0) if inside.value == exact.number(0) else None, samples)
        return inside if value > 0 else self.multiply(constant(Fraction(-1)), inside)

    def _try(self, operation, *operands: Value | None) -> Value | None:
        """The exact result, or None where the operands or the result are not covered; what is too large is refused."""
        if None in operands:
            return None
        try:
            return operation(*operands)
        except TooLargeError:
            raise
        except UnreadableError as error:
            if "zero" in str(error):
                raise
            return None


def _letter(name: str) -> Expression:
    return Expression(exact.letter(name), sample_letter(name))


def constant(value: Fraction) -> Expression:
    """The expression of a rational number.

    Raises:
        TooLargeError: it is too long.
    """
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > exact.MAX_BITS:
        raise TooLargeError("a number")
    large = value.numerator.bit_length() > value.denominator.bit_length() + 60
    return Expression(exact.number(value), None if large else sample_number(float(value)))


def _tokens(text: str) -> list[str]:
    tokens: list[str] = []
    after_number = False
    for match in TOKEN.finditer(text):
        kind, token = match.lastgroup, match.group()
        if kind == "space":
            continue
        if kind == "other":
            raise UnreadableError("a character")
        if kind == "number" and after_number:
            raise UnreadableError("a number after a number")
        after_number = kind == "number"
        if kind == "word":
            tokens += _split_word(token)
        else:
            tokens.append(token)
        if len(tokens) > MAX_TOKENS:
            raise TooLargeError("the length")
    return tokens


def _split_word(word: str) -> list[str]:
    """A known function, the name of a segment or an angle (all capitals), or a product of up to three letters."""
    if word in PLAIN:
        return [f"\\{ALIASES.get(word, word)}"]
    if len(word) == 1 or word.isupper():
        return [word]
    if len(word) > 3:
        raise UnreadableError("a word")
    return list(word)
