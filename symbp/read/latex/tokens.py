"""Raw TeX tokens to the tokens of mathematics: what is not context-free in LaTeX is settled here.

Sizes, colours and spaces are dropped, fonts become a property of letters, words are told from runs of
letters, one digit is taken where TeX takes one (`x^23`, `\\frac12`), bars are told apart, and a script
without a base gets an empty one. After this every token has one role in the grammar.
"""

# ruff: noqa: SIM905
from __future__ import annotations

import re
from collections.abc import Collection

from symbp.errors import LimitError, Place, nearest
from symbp.read.latex import commands
from symbp.read.latex.macros import Raw, error, group, optional

DEEPEST = 50
MOST = 5_000


class Token:
    """`kind` is the terminal of the grammar, `text` what it says."""

    __slots__ = ("end", "font", "kind", "spaced", "start", "text", "type")

    def __init__(self, kind: str, text: str, start: int, end: int, font: str = "", spaced: bool = False) -> None:
        self.kind = self.type = kind
        self.text, self.start, self.end, self.font, self.spaced = text, start, end, font, spaced

    def __repr__(self) -> str:
        return f"{self.kind}:{self.text}"


_WORDS = frozenset(
    """log ln exp tanh sinh cosh sin cos tan max min softmax softplus sigmoid sigm logsumexp relu ReLU Relu RELU GELU
    gelu ELU SiLU diag sgn sign sum mean erf trace arctan sqrt argmax net Softmax Sigmoid Tanh logit LeakyReLU lse
    rank det abs norm swish sech argmin var cov vec mish selu prod reshape""".split()
)
_CALLABLE = commands.FUNCTIONS | (_WORDS - {"net", "sum", "prod"}) | {"sigm", "swish"}
_PROSE = frozenset(
    """and or where with if so let hence thus for since then otherwise else und oder wobei mit falls sonst wenn et où
    si avec y con donde""".split()
)
_SIMPLE = {
    "{": "LB", "}": "RB", "^": "SUP", "_": "SUB", "'": "PRIME", "&": "AMP", "\\\\": "NEWLINE", ",": "COMMA",
    ";": "COMMA", "+": "ADD", "-": "ADD", "*": "OP", "/": "OP", "@": "OP", "=": "REL", "<": "REL", ">": "REL",
}  # fmt: skip
_ONE_ARGUMENT = {"SUP": 1, "SUB": 1, "ACCENT": 1, "FRAC": 2}


class Tokeniser:
    """One pass over the raw tokens of one formula."""

    def __init__(self, raw: list[Raw], text: str, names: Collection[str] = ()) -> None:
        self.raw, self.text, self.names = raw, text, names
        self.done: list[Token] = []
        self.at = 0
        self.expect = 0  # single-token arguments that TeX still takes
        self.stack: list[tuple[str, str, int]] = []  # what each brace restores: font, closing font, expected arguments
        self.font = ""

    def emit(self, kind: str, text: str, raw: Raw, end: int | None = None, font: str | None = None) -> None:
        token = Token(
            kind, text, raw.start, raw.end if end is None else end, self.font if font is None else font, raw.spaced
        )
        self.done.append(token)
        takes = _ONE_ARGUMENT.get(kind)
        if takes is not None:
            self.expect = takes + (self.expect - 1 if self.expect and kind in ("FRAC", "ACCENT") else 0)
        elif kind not in ("LB", "RB") and self.expect:
            self.expect -= 1

    def run(self) -> list[Token]:
        raw = self.raw
        while self.at < len(raw):
            token = raw[self.at]
            word = token.text
            first = word[0]
            if first == "\\" and len(word) > 1 and word != "\\\\":
                self.command(token)
            elif first.isdigit() or (first == "." and len(word) > 1):
                self.number(token)
            elif first.isalpha():
                self.letters(token)
            else:
                self.character(token)
            if len(self.done) > MOST:
                raise LimitError(f"the formula has more than {MOST} tokens", Place(1))
        if self.stack:
            last = next((t for t in reversed(self.done) if t.kind in ("LB", "BEGIN")), self.done[0])
            what = "this brace {" if last.kind == "LB" else f"the environment {last.text}"
            raise error(self.text, last.start, f"{what} is not closed")
        return self.done

    # -------- single characters

    def character(self, token: Raw) -> None:
        word = token.text
        self.at += 1
        if word == "{":
            argument = "argument" if self.expect else ""
            self.stack.append((self.font, self.font, max(self.expect - 1, 0)))
            self.expect = 0
            self.emit("LB", "{", token, font=argument)
            if len(self.stack) > DEEPEST:
                raise LimitError(
                    f"the formula is nested more than {DEEPEST} deep", error(self.text, token.start, "").place
                )
        elif word == "}":
            if not self.stack:
                raise error(self.text, token.start, "this brace } closes nothing")
            self.emit("RB", "}", token)
            self.font, _, self.expect = self.stack.pop()
        elif word == "\\\\":
            self._skip_length()
            self.emit("NEWLINE", "\\\\", token)
        elif word == ":":
            if self._next("="):
                self.at += 1
                self.emit("REL", ":=", token, token.end + 1)
            else:
                self.emit("REL", ":", token)
        elif word == "=" and self._next(":"):
            self.at += 1
            self.emit("REL", "=", token)
        elif word in "<>=" and self._next("=") and word != "=":
            self.at += 1
            self.emit("REL", word + "=", token)
        elif word == "=" and self._next("="):
            self.at += 1
            self.emit("REL", "==", token)
        elif word in ("[", "("):
            self.emit("OPEN", word, token)
        elif word in ("]", ")"):
            self.emit("CLOSE", word, token)
        elif word == "|":
            if self._next("|"):
                self.at += 1
                self.emit("BAR", "||", token, token.end + 1)
            else:
                self.emit("BAR", "|", token)
        elif word == ".":
            self._dot(token)
        elif word == "~":
            pass
        elif word == "!":
            self.emit("SYM", "!", token)
        elif word == "$":
            raise error(self.text, token.start, "a dollar inside a formula ends it", "Check one formula at a time.")
        elif word in _SIMPLE:
            self.emit(_SIMPLE[word], word, token)
        elif word == "\\":
            raise error(self.text, token.start, "a backslash at the end means nothing")
        elif word in '"`?':
            self.emit("SYM", word, token)
        elif word == "#":
            raise error(self.text, token.start, "# has no meaning here", "It stands for an argument in a macro.")
        else:
            self.emit("TEXT", word, token)

    def _next(self, word: str) -> bool:
        return self.at < len(self.raw) and self.raw[self.at].text == word

    def _dot(self, token: Raw) -> None:
        """`...`, `.*`, `./`, `.^`, or the end of a sentence."""
        dots = 1
        while self._next("."):
            dots += 1
            self.at += 1
        if dots > 1:
            self.emit("DOTS", "dots", token)
        elif self.at < len(self.raw) and self.raw[self.at].text in ("*", "/") and not self.raw[self.at].spaced:
            self.emit("OP", "odot" if self.raw[self.at].text == "*" else "oslash", token)
            self.at += 1

    def _skip_length(self) -> None:
        """`\\\\[2pt]`, `\\\\*`."""
        if self._next("*") and not self.raw[self.at].spaced:
            self.at += 1
        if self._next("[") and not self.raw[self.at].spaced:
            end = self.at + 1
            while end < len(self.raw) and self.raw[end].text != "]" and end - self.at < 8:
                end += 1
            inside = "".join(t.text for t in self.raw[self.at + 1 : end])
            if re.fullmatch(r"-?[0-9.]*\s*(pt|em|ex|cm|mm|in|mu|pc|sp|\\jot|\\baselineskip)", inside):
                self.at = end + 1

    def number(self, token: Raw) -> None:
        word = token.text
        self.at += 1
        if self.expect and len(word) > 1:  # TeX takes one digit
            self.emit("NUM", word[0], token, token.start + 1)
            rest = Raw(word[1:], token.start + 1, token.end)
            self.raw[self.at - 1] = rest
            self.at -= 1
            return
        if word[0] == ".":
            word = "0" + word
        elif word.endswith("."):
            word = word[:-1]
        self.emit("NUM", word, token)

    # -------- letters and words

    def letters(self, token: Raw) -> None:
        """A run of plain letters: words that are known, and the rest letter by letter."""
        if not token.text.isascii():
            self._other_letters(token)
            return
        if self.expect:  # an argument of TeX is one token
            self.emit("LETTER", token.text, token)
            self.at += 1
            return
        end = self.at
        while end < len(self.raw):
            after = self.raw[end]
            if (
                len(after.text) != 1
                or not (after.text.isascii() and after.text.isalpha())
                or (end > self.at and after.spaced)
            ):
                break
            end += 1
        run = "".join(t.text for t in self.raw[self.at : end])
        while run:
            word = self._word(run)
            first, last = self.raw[self.at], self.raw[self.at + len(word) - 1]
            if len(word) == 1:
                self.emit("LETTER", word, first)
            else:
                self.emit("FUN" if word in _CALLABLE and word not in self.names else "WORD", word, first, last.end)
            self.at += len(word)
            run = run[len(word) :]

    def _word(self, run: str) -> str:
        """The word that a run of letters starts with, or its first letter."""
        for size in range(min(len(run), 30), 1, -1):
            word = run[:size]
            if (word in self.names and (size > 2 or size == len(run))) or word in _WORDS:
                return word
        if len(run) > 2 and run in _PROSE:
            return run
        if self.names and run[0] == "d" and run[1:] in self.names and len(run) > 2:
            return run[0]
        return run[0]

    def _other_letters(self, token: Raw) -> None:
        """Letters of other scripts: one is a name, several are prose."""
        end = self.at + 1
        while end < len(self.raw):
            after = self.raw[end]
            if len(after.text) != 1 or after.text.isascii() or not after.text.isalpha():
                break
            end += 1
        run = self.raw[self.at : end]
        self.at = end
        word = "".join((" " if t.spaced and n else "") + t.text for n, t in enumerate(run))
        self.emit("LETTER" if len(run) == 1 else "TEXT", word, token, run[-1].end)

    # -------- commands

    def command(self, token: Raw) -> None:
        name = token.text[1:]
        self.at += 1
        starred = name
        if name.endswith("*") and name not in ("operatorname*", "hspace*", "vspace*", "tag*"):
            name = name[:-1]
            self.at -= 1
            self.raw[self.at] = Raw("*", token.end - 1, token.end)
            starred = name
        if name in commands.LETTERS:
            self.emit("LETTER", commands.SAME_LETTER.get(name, name), token)
        elif name == "partial":
            self.emit("PARTIAL", name, token)
        elif name == "nabla":
            self.emit("NABLA", name, token)
        elif name in commands.BIG:
            self.emit("BIGOP", commands.BIG[name], token)
        elif name in commands.DROPPED or name == " " or name.isspace():
            pass
        elif name in commands.SIZING:
            self._sized(token, commands.SIZING[name], name)
        elif starred in commands.TEXTS:
            self._text(token, starred)
        elif name in commands.FONTS:
            self._font(token, name)
        elif name in commands.OPERATORS:
            self.emit("OP", commands.OPERATORS[name], token)
        elif name in commands.SIGNS:
            self.emit("ADD", commands.SIGNS[name], token)
        elif name == "not":
            self._negated(token)
        elif name in commands.FRACTIONS:
            self.emit("FRAC", commands.FRACTIONS[name], token)
        elif name in commands.MARKERS and self._next("{"):
            self._unbraced()
        elif name in commands.ACCENTS:
            self._accent(token, name)
        elif name in commands.RELATIONS:
            self.emit("REL", commands.RELATIONS[name], token)
        elif name in commands.DOTS:
            self.emit("DOTS", "dots", token)
        elif name in commands.FUNCTIONS:
            self.emit("FUN", name, token)
        elif name in commands.OPENING:
            self.emit("OPEN", commands.OPENING[name], token)
        elif name in commands.CLOSING:
            self.emit("CLOSE", commands.CLOSING[name], token)
        elif name in commands.BARS:
            self.emit("BAR", commands.BARS[name], token)
        elif name in commands.SEPARATORS:
            self.emit("SEP", name, token)
        elif name in ("newline", "cr", "tabularnewline"):
            self.emit("NEWLINE", "\\\\", token)
        elif name in commands.ARROWS:
            self.emit("ARROW", name, token)
        elif name in ("begin", "end"):
            self._environment(token, name)
        elif name == "prime":
            self.emit("LETTER", "prime", token)
        elif name in commands.DROPPED_WITH_ARGUMENT:
            self._dropped(token, name)
        elif name in commands.DROPPED_FIRST_ARGUMENT:
            self._argument(token)
            self._undollared()
            self._unbraced()
        elif name in commands.OVERLAYS:
            self._overlay(token, name)
        elif name in commands.LENGTHS:
            self._skip_kern()
        elif name in ("%", "#", "$", "_", "&"):
            self.emit("SYM", name, token)
        elif name in commands.PHANTOMS:
            raise error(self.text, token.start, f"\\{name} hides what it holds", "Write only what is meant.")
        elif name in ("(", ")", "[", "]"):
            raise error(self.text, token.start, f"\\{name} inside a formula starts or ends another")
        elif name in ("intertext", "shortintertext"):
            self._argument(token)
            self.emit("NEWLINE", "\\\\", token)
        elif name in commands.DANGEROUS:
            raise error(self.text, token.start, f"the command \\{name} has no place in a formula; it was not run")
        else:
            known = [
                *commands.FUNCTIONS,
                *commands.LETTERS,
                *commands.OPERATORS,
                *commands.RELATIONS,
                "frac",
                "partial",
                "nabla",
            ]
            near = nearest(name, known).replace("'", "", 1).replace("'", "", 1).replace("mean ", "mean \\")
            hint = near or f"Define it with \\newcommand, or say what it means: --let '\\{name[:40]} := ...'"
            raise error(self.text, token.start, f"unknown command \\{name[:40]}", hint)

    def _argument(self, token: Raw) -> list[Raw]:
        inside, self.at = group(self.raw, self.at, self.text)
        return inside

    def _undollared(self) -> None:
        """`\\colorbox{red}{$ x $}`: back in mathematics."""
        if self._next("{"):
            inside, after = group(self.raw, self.at, self.text)
            if len(inside) > 1 and inside[0].text == inside[-1].text == "$":
                self.raw[self.at + 1 : after - 1] = inside[1:-1]

    def _overlay(self, token: Raw, name: str) -> None:
        """`\\only<2->{x}` is x."""
        if self._next("<"):
            while self.at < len(self.raw) and not self._next(">"):
                self.at += 1
            self.at += 1
        if self._next("{"):
            inside, after = group(self.raw, self.at, self.text)
            self.raw[self.at : after] = inside

    def _sized(self, token: Raw, side: str, name: str) -> None:
        """The bracket after `\\left`, `\\big` and the like."""
        if self.at < len(self.raw) and name in ("big", "Big", "bigg", "Bigg") and self.raw[self.at].text == "{":
            inside = self.raw[self.at + 1 : self.at + 3]
            if len(inside) == 2 and inside[1].text == "}":  # \big{(}
                self.raw[self.at : self.at + 3] = [inside[0]]
        if self.at >= len(self.raw):
            raise error(self.text, token.start, f"a bracket is missing after \\{name}")
        after = self.raw[self.at]
        word = after.text.removeprefix("\\") if len(after.text) > 1 else after.text
        if after.text == "\\|":
            word = "|"
        spot = Raw(after.text, token.start, after.end, token.spaced)
        if side and (after.text == "." or after.text.startswith(".")):
            if len(after.text) > 1:
                self.raw[self.at] = Raw(after.text[1:], after.start + 1, after.end)
            else:
                self.at += 1
            self.emit({"open": "OPEN", "close": "CLOSE"}.get(side, "REL"), ".", spot, after.start + 1)
            return
        bar = {
            "|": "||" if after.text == "\\|" else "|",
            "vert": "|",
            "Vert": "||",
            "lvert": "|",
            "rvert": "|",
            "lVert": "||",
            "rVert": "||",
        }.get(word)
        if bar is not None:
            self.at += 1
            self.emit(
                {"open": "OPEN", "close": "CLOSE", "mid": "REL"}.get(side, "BAR"), bar if side != "mid" else "mid", spot
            )
            return
        shape = commands.OPENING.get(word) or commands.CLOSING.get(word) or {"<": "<", ">": ">", "/": "/"}.get(word)
        if shape is None or after.text in ("{", "}"):
            if not side or side == "mid":
                return  # \big before something that is no bracket
            raise error(self.text, token.start, f"a bracket is missing after \\{name}")
        self.at += 1
        if shape == "/":
            self.emit("OP", "/", spot)
            return
        kind = {"open": "OPEN", "close": "CLOSE"}.get(side) or ("OPEN" if word in commands.OPENING else "CLOSE")
        self.emit(kind, shape, spot)

    def _negated(self, token: Raw) -> None:
        """`\\not=`, `\\not\\in`."""
        after = self.raw[self.at].text if self.at < len(self.raw) else ""
        meant = {"=": "!=", "\\in": "notin"}.get(after)
        if meant is None:
            raise error(self.text, token.start, "\\not is only read before = and \\in")
        self.at += 1
        self.emit("REL", meant, token)

    def _unbraced(self) -> None:
        """What is only marked is no group: `\\underline{t +} p` is t + p."""
        if self.at >= len(self.raw) or self.raw[self.at].text != "{":
            return
        depth = 0
        for n in range(self.at, len(self.raw)):
            depth += (self.raw[n].text == "{") - (self.raw[n].text == "}")
            if depth == 0:
                del self.raw[n], self.raw[self.at]
                return

    def _accent(self, token: Raw, name: str) -> None:
        meant = commands.ACCENTS[name]
        if name == "sqrt" and self._next("["):
            inside, self.at = optional(self.raw, self.at, self.text)
            self.emit("FRAC", "root", token)
            braced = [Raw("{", token.start, token.end), *(inside or []), Raw("}", token.start, token.end)]
            self.raw[self.at : self.at] = braced
            return
        self.emit("ACCENT", meant or "plain", token)

    def _font(self, token: Raw, name: str) -> None:
        font = commands.FONTS[name]
        if name in commands.SWITCHES:
            self.font = font
            return
        if self.at < len(self.raw) and self.raw[self.at].text == "{":
            outer = self.font
            brace = self.raw[self.at]._replace(start=token.start, spaced=token.spaced)
            self.at += 1
            argument = "argument" if self.expect else ""
            self.stack.append((outer, outer, max(self.expect - 1, 0)))
            self.expect = 0
            self.emit("LB", "{", brace, font=argument)
            self.font = font
            if len(self.stack) > DEEPEST:
                raise LimitError(
                    f"the formula is nested more than {DEEPEST} deep", error(self.text, token.start, "").place
                )
            return
        if self.at < len(self.raw):  # \mathbf x, \mathbf\Phi: the next token only
            outer, before = self.font, len(self.done)
            self.font = font
            after = self.raw[self.at]
            spot = after._replace(start=token.start, spaced=token.spaced)
            if after.text[0].isalpha() and after.text.isascii():
                self.emit("LETTER", after.text, spot)
                self.at += 1
            elif after.text[0] == "\\" and after.text[1:] in commands.LETTERS:
                self.command(spot)
            elif after.text[0].isdigit():
                self.emit("NUM", after.text[0], after)
                if len(after.text) > 1:
                    self.raw[self.at] = Raw(after.text[1:], after.start + 1, after.end)
                else:
                    self.at += 1
            self.font = outer
            del before

    def _text(self, token: Raw, name: str) -> None:
        """A word, a function, a letter, or prose."""
        upright = name.startswith(("text", "mbox", "hbox", "operatorname"))
        if not self._next("{"):
            if name in commands.FONTS:
                self._font(token, name)
            return
        inside, after = group(self.raw, self.at, self.text)
        plain = "".join((" " if t.spaced and n else "") + t.text for n, t in enumerate(inside)).strip()
        font = commands.FONTS.get(name, "rm")
        raw = Raw(token.text, token.start, self.raw[after - 1].end, token.spaced)
        bare = (
            plain.replace("\\_", "_").replace("\\-", "-").replace("\\,", "").replace("\\!", "").replace(" ", "")
            if not upright
            else plain.replace("\\_", "_")
        )
        spelled = bool(re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", bare)) and len(bare) > 1
        if (
            name in ("mathcal", "mathbf", "bold", "boldsymbol", "bm")
            and spelled
            and bare not in self.names
            and bare not in _WORDS
        ):
            spelled = False  # \mathbf{XW} is a product
        if (
            name in ("mathrm", "mathit", "mathsf", "mathtt")
            and spelled
            and len(bare) == 2
            and bare[0] == "d"
            and bare not in self.names
        ):
            spelled = False  # \mathrm{dx}
        if spelled:
            self.at = after
            word = bare
            prose = upright and name != "operatorname" and word.lower() in _PROSE
            kind = "TEXT" if prose else "FUN" if word in _CALLABLE and word not in self.names else "WORD"
            self.emit(kind, word, raw, font=font)
        elif upright and not plain.isalnum() and len(plain) == 1:
            self.at = after
            self.emit("TEXT", plain, raw, font=font)
        elif (
            upright and len(plain) != 1 and not (inside and all(t.text[0] == "\\" or t.text in "^_{}" for t in inside))
        ):
            self.at = after
            if plain:
                self.emit("TEXT", plain, raw, font=font)
        elif upright:
            self.raw[self.at + 0] = Raw("{", token.start, token.end, token.spaced)
            self._font(token, "mathrm")
        else:
            self._font(token, name)

    def _environment(self, token: Raw, name: str) -> None:
        inside = self._argument(token)
        word = "".join(t.text for t in inside)
        if word not in commands.ALIGNING and word not in commands.MATRICES:
            raise error(self.text, token.start, f"the environment {word[:40]!r} is not read in a formula")
        if name == "begin":
            if self._next("["):
                _, self.at = optional(self.raw, self.at, self.text)
            if word in (
                "array",
                "tabular",
                "alignat",
                "alignat*",
                "alignedat",
                "IEEEeqnarray",
                "IEEEeqnarray*",
                "empheq",
            ) and self._next("{"):
                self._argument(token)
            self.stack.append((self.font, word, 0))
            if len(self.stack) > DEEPEST:
                raise LimitError(
                    f"the formula is nested more than {DEEPEST} deep", error(self.text, token.start, "").place
                )
            self.expect = 0
            self.emit("BEGIN", word, token)
            return
        if not self.stack or (self.done and self.stack[-1][1] != word):
            raise error(self.text, token.start, f"\\end{{{word}}} does not fit what is open here")
        self.font, _, self.expect = self.stack.pop()
        self.emit("END", word, token._replace(end=self.raw[self.at - 1].end))

    def _dropped(self, token: Raw, name: str) -> None:
        inside = "".join(t.text for t in self._argument(token))
        if name.startswith(("hspace", "vspace")) and not re.fullmatch(
            r"-?[0-9]{0,2}(\.[0-9]*)?\s*[a-z]*|\\[A-Za-z]+", inside
        ):
            raise error(self.text, token.start, f"\\{name} of {inside[:20]} is a page-filling space")
        if name == "label":
            count: set[str] = getattr(self, "labels", set())
            if inside in count:
                raise error(self.text, token.start, f"the label {inside[:40]!r} is set twice")
            self.labels = {*count, inside}

    def _skip_kern(self) -> None:
        """`\\kern-6pt`."""
        if self._next("-"):
            self.at += 1
        if self.at < len(self.raw) and (self.raw[self.at].text[0].isdigit() or self.raw[self.at].text[0] == "."):
            self.at += 1
        for _ in range(2):
            if self.at < len(self.raw) and self.raw[self.at].text in "ptemxcu":
                self.at += 1


# ---------------------------------------------------------------- bars, lone operators, scripts without a base

_NO_BASE = {
    "OP",
    "ADD",
    "REL",
    "COMMA",
    "OPEN",
    "LB",
    "AMP",
    "NEWLINE",
    "SEP",
    "ARROW",
    "BEGIN",
    "SUP",
    "SUB",
    "FRAC",
    "ACCENT",
}
_BEFORE_OPENING = _NO_BASE | {"BIGOP", "FUN"}


def decorate(tokens: list[Token], text: str) -> list[Token]:
    """Give every bar its role, every lone operator an atom's, every script a base; check that brackets close."""
    bars = [n for n, t in enumerate(tokens) if t.kind == "BAR"]
    if bars:
        _bars(tokens)
    done: list[Token] = []
    depth: list[Token] = []
    substack: list[int] = []
    skipped: set[int] = set()
    for n, token in enumerate(tokens):
        if id(token) in skipped:
            continue
        kind = token.kind
        before = done[-1].kind if done else "NEWLINE"
        after = tokens[n + 1].kind if n + 1 < len(tokens) else "NEWLINE"
        if kind in ("OPEN", "LB", "BEGIN"):
            if kind == "LB" and before == "ACCENT" and done[-1].text == "substack":
                substack.append(len(depth))
            depth.append(token)
            if len(depth) > DEEPEST:
                raise LimitError(f"the formula is nested more than {DEEPEST} deep", error(text, token.start, "").place)
        elif kind in ("CLOSE", "RB", "END"):
            wanted = {"CLOSE": "OPEN", "RB": "LB", "END": "BEGIN"}[kind]
            if not depth:
                raise error(text, token.start, f"this {token.text} closes nothing")
            if (
                kind == "RB"
                and depth[-1].kind == "OPEN"
                and len(depth) > 1
                and depth[-2].kind == "LB"
                and depth[-2].font != "argument"
            ):
                done.remove(depth.pop(-2))  # TeX does not pair brackets and braces: \large{(}
                continue
            if (
                kind == "CLOSE"
                and depth[-1].kind == "LB"
                and len(depth) > 1
                and depth[-2].kind == "OPEN"
                and depth[-1].font != "argument"
            ):
                done.remove(depth[-1])
                skipped.add(id(_partner(tokens, depth.pop())))
            if depth[-1].kind != wanted:
                if kind == "RB" or kind == "END":
                    raise error(text, depth[-1].start, f"the bracket {depth[-1].text} is not closed")
                raise error(text, token.start, f"this {token.text} closes nothing inside its group")
            depth.pop()
            if substack and substack[-1] == len(depth):
                substack.pop()
        elif kind == "NEWLINE" and substack:
            token = Token("COMMA", ",", token.start, token.end)
        elif kind in ("SEP", "ARROW") and depth:
            if kind == "SEP":
                continue
            token = Token("REL", "to", token.start, token.end)
        elif (
            kind in ("OP", "ADD", "REL")
            and before in ("LB", "OPEN", "SUP", "SUB")
            and (
                before in ("SUP", "SUB")
                or after in ("RB", "CLOSE")
                or (kind == "OP" and before == "LB" and len(done) > 1 and done[-2].kind == "SUP")
            )
        ):
            token = Token("SYM", token.text, token.start, token.end)
        elif kind == "PRIME":
            if before in ("SUP", "SUB"):
                token = Token("LETTER", "prime", token.start, token.end)
            elif before in _NO_BASE:
                done.append(Token("EMPTY", "", token.start, token.start))
        elif kind in ("SUP", "SUB"):
            if before in ("SUP", "SUB"):
                raise error(text, token.start, "a script on a script needs braces")
            if before in _NO_BASE and before not in ("FRAC", "ACCENT"):
                done.append(Token("EMPTY", "", token.start, token.start))
            elif before == "OP" or before == "REL":
                pass
        done.append(token)
    if depth:
        raise error(
            text,
            depth[-1].start,
            f"the {'environment' if depth[-1].kind == 'BEGIN' else 'bracket'} {depth[-1].text} is not closed",
        )
    return done


def _partner(tokens: list[Token], brace: Token) -> Token:
    depth, at = 0, next(n for n, t in enumerate(tokens) if t is brace)
    for token in tokens[at:]:
        depth += (token.kind == "LB") - (token.kind == "RB")
        if depth == 0:
            return token
    return brace


def _bars(tokens: list[Token]) -> None:
    """Opening, closing, or the bar of "given"."""
    levels: list[list[Token]] = [[]]
    n = -1
    while n + 1 < len(tokens):
        n += 1
        token = tokens[n]
        kind = token.kind
        if (
            kind == "BAR"
            and token.text == "||"
            and token.end - token.start == 2
            and levels[-1][-1:]
            and levels[-1][-1].text == "|"
        ):
            middle = token.start + 1  # |a||b|
            tokens[n : n + 1] = [Token("BAR", "|", token.start, middle), Token("BAR", "|", middle, token.end)]
            token = tokens[n]
        if kind in ("OPEN", "LB", "BEGIN"):
            levels.append([])
        elif kind in ("CLOSE", "RB", "END"):
            for open_bar in levels.pop() if len(levels) > 1 else []:
                open_bar.kind = open_bar.type = "REL"
                open_bar.text = "mid"
        elif kind in ("AMP", "NEWLINE") or (kind == "REL" and token.text in ("=", ":=") and len(levels) == 1):
            for open_bar in levels[-1]:
                open_bar.kind, open_bar.type, open_bar.text = "REL", "REL", "mid"
            levels[-1].clear()
        elif kind == "BAR":
            before = tokens[n - 1].kind if n else "NEWLINE"
            after = tokens[n + 1].kind if n + 1 < len(tokens) else "NEWLINE"
            opened = levels[-1]
            if before in ("AMP", "NEWLINE", "BEGIN") and after in ("AMP", "NEWLINE", "END"):
                token.kind = token.type = "SYM"
            elif opened and opened[-1].text == token.text and before not in ("OP", "ADD", "REL", "COMMA"):
                opened.pop().kind = "OPEN"
                token.kind = token.type = "CLOSE"
            elif before in _BEFORE_OPENING or _another(tokens, n, token.text):
                opened.append(token)
                token.kind = token.type = "BAR"
            else:
                token.kind, token.type, token.text = "REL", "REL", "mid"
    for level in levels:
        for open_bar in level:
            if open_bar.kind == "BAR":
                open_bar.kind, open_bar.type, open_bar.text = "REL", "REL", "mid"
    for token in tokens:
        token.type = token.kind


def _another(tokens: list[Token], n: int, text: str) -> bool:
    """Whether a bar of the same kind follows at this level."""
    depth = 0
    for token in tokens[n + 1 :]:
        if token.kind in ("OPEN", "LB", "BEGIN"):
            depth += 1
        elif token.kind in ("CLOSE", "RB", "END"):
            depth -= 1
            if depth < 0:
                return False
        elif depth == 0:
            if token.kind == "BAR" and token.text == text:
                return True
            if token.kind in ("AMP", "NEWLINE") or (token.kind == "REL" and token.text in ("=", ":=")):
                return False
    return False


def tokenise(raw: list[Raw], text: str, names: Collection[str] = ()) -> list[Token]:
    """The tokens of a formula, ready to be split and parsed."""
    return decorate(Tokeniser(list(raw), text, names).run(), text)
