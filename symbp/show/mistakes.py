"""A mistake as a sentence that a student understands, in English and Chinese.

One sentence a kind of mistake, with places for what stands (`{old}`), what should stand (`{new}`),
what is missing or too many (`{detail}`), the variable (`{x}`), the function (`{f}`) and the node
(`{node}`). Where an explanation has no place in the student's own formula, the shorter sentence
is taken that needs none.
"""

from __future__ import annotations

from collections.abc import Callable

from symbp.claim import Claim, Tree
from symbp.judge.naming import Mistake

SENTENCES: dict[str, tuple[str, str]] = {
    "sign": (
        "A sign is wrong: it should be {new} instead of {old}.",
        "符号错了：应为 {new}，而不是 {old}。",
    ),
    "sign-whole": (
        "The sign is wrong throughout: this is −∂{loss}/∂{x}, the direction of descent, not the gradient.",
        "整式反号：这是更新方向 −∂{loss}/∂{x}，不是梯度。",
    ),
    "sign-update": (
        "The sign is wrong: descent goes against the gradient, so this step goes uphill.",
        "符号错了：下降应沿梯度的反方向，这一步却是上升。",
    ),
    "factor": (
        "A constant factor is off: it should be {new} instead of {old}.",
        "常数因子不对：应为 {new}，而不是 {old}。",
    ),
    "factor-by": (
        "{old} is off by a constant factor: it has to be multiplied by {detail}.",
        "{old} 差一个常数因子，应乘以 {detail}。",
    ),
    "factor-whole": (
        "The formula is off by a constant factor: multiply it by {detail}.",
        "整式差一个常数因子：应乘以 {detail}。",
    ),
    "missing-mean-factor-whole": (
        "A factor made of sizes is missing or too many (a mean divides by the number of entries, a sum does not): "
        "multiply the formula by {detail}.",
        "与尺寸有关的因子缺失或多余（求平均要除以个数，求和不用）：整式应乘以 {detail}。",
    ),
    "missing-mean-factor": (
        "A factor made of sizes is missing or too many (a mean divides by the number of entries, a sum does not): "
        "it should be {new} instead of {old}.",
        "与尺寸有关的因子缺失或多余（求平均要除以个数，求和不用）：应为 {new}，而不是 {old}。",
    ),
    "missing-mean-factor-by": (
        "A factor made of sizes is missing or too many (a mean divides by the number of entries, a sum does not): "
        "multiply {old} by {detail}.",
        "与尺寸有关的因子缺失或多余（求平均要除以个数，求和不用）：{old} 应乘以 {detail}。",
    ),
    "missing-transpose": (
        "A transpose is missing or too many: {new} instead of {old}, so that the product adds up over the right index.",
        "转置缺失或多余：应为 {new}，而不是 {old}，这样才对正确的下标求和。",
    ),
    "swapped-order": (
        "The factors are in the wrong order: write {new} instead of {old}.",
        "因子的次序颠倒了：应写 {new}，而不是 {old}。",
    ),
    "index-swap": (
        "An index is off: {new} belongs where {old} stands.",
        "下标错了：{old} 处应为 {new}。",
    ),
    "hadamard-vs-matmul": (
        "An elementwise product stands where a matrix product is due, or the reverse: {new} instead of {old}.",
        "逐元素乘积与矩阵乘积混淆了：应为 {new}，而不是 {old}。",
    ),
    "missing-sum": (
        "Entries are not added up: {x} is used several times, so its gradient is a sum: {new} instead of {old}.",
        "缺少求和：{x} 多次参与运算，其梯度应把各处相加：应为 {new}，而不是 {old}。",
    ),
    "missing-regulariser": (
        "The penalty on {x} also depends on {x}: add {detail}.",
        "正则项也依赖于 {x}：应加上 {detail}。",
    ),
    "missing-path": (
        "{x} reaches the loss by more than one path, and one contribution is missing: add {detail}.",
        "{x} 经多条路径影响损失，漏了其中一条的贡献：应加上 {detail}。",
    ),
    "missing-path-new": (
        "{x} reaches the loss by more than one path, and one contribution is missing: {new} instead of {old}.",
        "{x} 经多条路径影响损失，漏了其中一条的贡献：应为 {new}，而不是 {old}。",
    ),
    "missing-term": (
        "A summand is missing: {new} instead of {old}.",
        "漏了一项：应为 {new}，而不是 {old}。",
    ),
    "missing-activation-derivative": (
        "The derivative of {f} is missing: going back through {node} multiplies by {detail}.",
        "漏了 {f} 的导数：反向经过 {node} 时要乘以 {detail}。",
    ),
    "missing-activation-derivative-bare": (
        "The derivative of {f} is missing: this is the gradient of {node}, before going back through it.",
        "漏了 {f} 的导数：这只是 {node} 的梯度，还没有反向经过它。",
    ),
    "wrong-activation-derivative": (
        "This is not the derivative of {f}: {new} belongs where {old} stands.",
        "这不是 {f} 的导数：{old} 处应为 {new}。",
    ),
    "wrong-argument": (
        "{old} stands where {new} belongs.",
        "{old} 处应当用 {new}。",
    ),
    "missing-factor": (
        "A factor of the chain rule is missing: multiply by {detail}.",
        "链式法则少了一个因子：还要乘以 {detail}。",
    ),
    "extra-term": (
        "{detail} does not belong here.",
        "{detail} 是多余的。",
    ),
    "shape": (
        "The result does not have the shape of {x}: {new} instead of {old}.",
        "结果的形状与 {x} 不符：应为 {new}，而不是 {old}。",
    ),
    "value": (
        "The number is wrong: it is {new}, not {old}.",
        "数值不对：应为 {new}，而不是 {old}。",
    ),
    "other": (
        "This is not the gradient, and no single change makes it right: compare it with the right line.",
        "这不是正确的梯度，也无法只改一处改对：请与正确的式子比较。",
    ),
    "other-new": (
        "{new} belongs where {old} stands.",
        "{old} 处应为 {new}。",
    ),
    "two": ("There are two mistakes. First: {0} Second: {1}", "有两处错误。第一处：{0} 第二处：{1}"),
    "derived": ("Compare it with the right line.", "请与正确的式子比较。"),
}
BARE: dict[str, tuple[str, str]] = {
    "sign": ("A sign is wrong.", "有一处符号错了。"),
    "factor": ("A constant factor is missing or too many.", "常数因子缺失或多余。"),
    "missing-mean-factor": (
        "A factor made of sizes is missing or too many (a mean divides by the number of entries, a sum does not).",
        "与尺寸有关的因子缺失或多余（求平均要除以个数，求和不用）。",
    ),
    "missing-transpose": ("A transpose is missing or too many.", "转置缺失或多余。"),
    "swapped-order": ("The factors are in the wrong order.", "因子的次序颠倒了。"),
    "index-swap": ("An index is off.", "下标错了。"),
    "hadamard-vs-matmul": (
        "An elementwise product stands where a matrix product is due, or the reverse.",
        "逐元素乘积与矩阵乘积混淆了。",
    ),
    "missing-sum": ("A sum over an axis is missing.", "缺少对某一轴的求和。"),
    "missing-term": ("A summand is missing.", "漏了一项。"),
    "missing-path": ("One of the paths from {x} to the loss is missing.", "{x} 到损失的路径漏了一条。"),
    "missing-regulariser": ("The penalty on {x} also depends on {x}.", "正则项也依赖于 {x}。"),
    "missing-activation-derivative": ("The derivative of {f} is missing.", "漏了 {f} 的导数。"),
    "wrong-activation-derivative": ("The derivative of {f} is wrong.", "{f} 的导数不对。"),
    "wrong-argument": ("The right operation is applied to the wrong thing.", "运算作用在了错误的量上。"),
    "missing-factor": ("A factor of the chain rule is missing.", "链式法则少了一个因子。"),
    "extra-term": ("A summand or a factor is too many.", "多了一项或一个因子。"),
    "shape": ("The result does not have the shape of {x}.", "结果的形状与 {x} 不符。"),
}
TITLES: dict[str, tuple[str, str]] = {
    "shape": ("shape", "形状不对"),
    "sign": ("sign", "符号"),
    "missing-mean-factor": ("mean or sum", "平均与求和"),
    "factor": ("constant factor", "常数因子"),
    "missing-transpose": ("transpose", "转置"),
    "swapped-order": ("order of factors", "因子次序"),
    "index-swap": ("index", "下标"),
    "hadamard-vs-matmul": ("elementwise or matrix product", "逐元素与矩阵乘积"),
    "missing-sum": ("sum is missing", "漏了求和"),
    "missing-regulariser": ("penalty is missing", "漏了正则项"),
    "missing-path": ("path is missing", "漏了一条路径"),
    "missing-term": ("summand is missing", "漏了一项"),
    "missing-activation-derivative": ("slope is missing", "漏了导数"),
    "wrong-activation-derivative": ("wrong slope", "导数不对"),
    "wrong-argument": ("argument", "对象不对"),
    "missing-factor": ("factor is missing", "漏了因子"),
    "extra-term": ("too much", "多余的项"),
    "value": ("number", "数值不对"),
    "other": ("another formula", "另一个式子"),
}
_ADDING = ("missing-path", "missing-regulariser", "missing-factor", "missing-activation-derivative")
LONGEST = 90  # parts that are longer are not quoted


def sentence(mistake: Mistake, claim: Claim, loss: str, spell: Callable[[Tree], str], lang: str = "en") -> str:
    """What is wrong, in one or two sentences. `spell` writes a tree in the student's notation, or
    returns an empty text."""
    first = _one(mistake, claim, loss, spell, lang)
    if mistake.second is None:
        return first
    second = _one(mistake.second, claim, loss, spell, lang)
    return _fill(SENTENCES["two"][lang == "zh"], {"0": first, "1": second})


def _one(m: Mistake, claim: Claim, loss: str, spell: Callable[[Tree], str], lang: str) -> str:
    def shown(tree: Tree | None) -> str:
        text = spell(tree) if tree is not None else ""
        return text if len(text) <= LONGEST else ""

    places = {
        "old": shown(m.old),
        "new": shown(m.new),
        "detail": shown(m.detail),
        "x": claim.about or claim.defines,
        "f": m.function,
        "node": m.node,
        "loss": loss,
    }
    bare = m.tree is None and not (m.kind == "slope-of-one" or (m.name in _ADDING and m.detail is not None))
    keys = ["sign-update"] if claim.update and m.name == "sign" and m.whole else _keys(m)
    for key in keys:
        for book in (BARE,) if bare else (SENTENCES, BARE):
            phrase = book.get(key, ("", ""))[lang == "zh"]
            if phrase and all(places[p] for p in places if "{" + p + "}" in phrase):
                return _fill(phrase, places)
    return SENTENCES["derived" if m.name != "other" else "other"][lang == "zh"]


def _keys(m: Mistake) -> list[str]:
    """The sentences that might be said, best first."""
    keys: list[str] = []
    if m.name == "sign" and m.whole:
        keys.append("sign-whole")
    if m.kind == "scale":
        keys.append(m.name + ("-whole" if m.whole else "-by"))
    if m.name == "missing-activation-derivative" and m.kind == "slope-of-one":
        keys.append("missing-activation-derivative-bare")
    keys.append(m.name)
    keys += [m.name + "-new", "other-new"]
    return keys


def _fill(phrase: str, places: dict[str, str]) -> str:
    for key, value in places.items():
        phrase = phrase.replace("{" + key + "}", value)
    return phrase
