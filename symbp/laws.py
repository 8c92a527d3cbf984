"""The catalogue of laws: what each law of simplification says, in LaTeX, English and Chinese.

`LAWS` holds one row per law, by the name of its function, in the groups in which simplify.py applies
them; `catalogue` writes the rows as a Markdown page. Every law a derivation applies is here, and
nothing else (tests/test_laws.py).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One law: its name, its group, its formula in LaTeX, and what it says."""

    name: str
    group: str
    formula: str
    english: str
    chinese: str


GROUPS = {
    "contract": ("Arithmetic that is always on", "始终进行的算术"),
    "facts": ("What is known", "利用已知"),
    "combine": ("Functions, fractions and products", "函数、分式与乘积"),
    "collect": ("Factors and signs", "公因子与符号"),
    "fold": ("Definitions folded back in, found by values and proved", "折回定义（由数值发现，再证明）"),
}

# fmt: off
LAWS: tuple[Row, ...] = (
    Row("contract", "contract", r"\sum_i \delta_{ij} f_i = f_j,\quad x^a x^b = x^{a+b},\quad \sum_k c\,x_k = c \sum_k x_k", "δs are used up, like terms and powers merge, constants stand before a sum", "消去 δ，合并同类项与同底幂，常数移出求和号"),
    Row("sum_fact", "facts", r"\sum_k t_k = 1,\quad \sum_i (x_i - \mu) = 0", "a sum that a fact or the definitions make a number", "由已知或定义可知的和"),
    Row("sign_fact", "facts", r"y^2 = 1 \quad (y = \pm 1)", "the square of ±1 is 1", "±1 的平方为 1"),
    Row("idle_mask", "facts", r"m\,(m x) = m x \quad (m \in \{0, 1\})", "a mask that is applied twice is applied once", "掩码作用两次等于一次"),
    Row("selected", "facts", r"p_k (t_k - q) = q (t_k - p_k) \quad \Bigl(q = \sum_k t_k p_k\Bigr)", "what a one-hot vector selects", "one-hot 向量所选之量"),
    Row("symmetric_inverse", "facts", r"(S^{-1})^\top = S^{-1} \quad (S = S^\top)", "the inverse of a symmetric matrix is symmetric", "对称矩阵的逆仍对称"),
    Row("symmetric_by_definition", "facts", r"(S^{-1})^\top = S^{-1} \quad (S = X X^\top + \lambda I)", "so is that of a matrix that is symmetric by its definition", "由定义可知对称的矩阵亦然"),
    Row("fold_definition", "combine", r"\text{body}(u) = u", "the right side of a definition is its name", "定义式的右端即其名称"),
    Row("fold_logistic", "combine", r"\frac{e^{-z}}{(1 + e^{-z})^2} = a (1 - a),\quad a = \frac{1}{1 + e^{-z}}", "the slope of a logistic function that is written out", "写开的 logistic 函数的导数"),
    Row("sign_quotient", "combine", r"\frac{\operatorname{sign} x}{|x|} = \frac{1}{x},\quad |x| \operatorname{sign} x = x", "sign and absolute value cancel", "符号与绝对值相消"),
    Row("sign_of_product", "combine", r"\operatorname{sign}(c u) = \operatorname{sign} u,\quad |c u| = c |u| \quad (c > 0)", "a positive factor goes from a sign, and leaves an absolute value", "正因子可从符号函数中去掉、从绝对值中提出"),
    Row("odd_function", "combine", r"\tanh(-u) = -\tanh u", "the minus of an odd function stands in front", "奇函数的负号提到前面"),
    Row("idle_sign", "combine", r"(\operatorname{sign} u)^2 = 1 \quad (u \ne 0),\quad (\operatorname{sign} u)^2\,[|u| > c] = [|u| > c] \quad (c \ge 0)", "where u is not 0 its sign squared is 1; where it is, its absolute value has no slope", "u 不为零处符号的平方为 1；为零处绝对值无导数"),
    Row("idle_condition", "combine", r"\max(u, 0)\,[u > 0] = \max(u, 0)", "a condition under which the rest vanishes anyway", "条件不成立时其余部分本已为零"),
    Row("absolute", "combine", r"x \operatorname{sign} x = |x|", "a number times its sign is its absolute value", "数乘以其符号为绝对值"),
    Row("common_sign", "combine", r"a \operatorname{sign} u - b\,|u| = (a - b u) \operatorname{sign} u", "the sign that an absolute value contains", "提取绝对值中的符号"),
    Row("clamp", "combine", r"x\,[x \le 0] = \min(x, 0),\quad x\,[x > 0] = \max(x, 0)", "a masked number is a minimum or a maximum", "掩码后的数为最小值或最大值"),
    Row("clipped", "combine", r"r \text{ if } |r| \le \delta \text{ else } \delta \operatorname{sign} r = \operatorname{clip}(r, -\delta, \delta)", "a number with bounds on both sides is clipped", "两侧有界即截断"),
    Row("scaled_clip", "combine", r"\frac r\delta \text{ if } |r| < \delta \text{ else } \operatorname{sign} r = \operatorname{clip}\Bigl(\frac r\delta, -1, 1\Bigr)", "the same with a scale", "带比例因子的截断"),
    Row("in_branch", "combine", r"1 \text{ if } z > 0 \text{ else } e^{\min(z, 0)} = 1 \text{ if } z > 0 \text{ else } e^z", "in a branch of a case distinction its condition holds", "在分情形的一支中其条件成立"),
    Row("even_branches", "combine", r"f(z) \text{ if } z > 0 \text{ else } f(-z) = f(|z|)", "two branches that mirror each other are one", "互为镜像的两支合一"),
    Row("outside", "combine", r"1 \text{ if } u > c \text{ else } [u < -c] = [|u| > c]", "outside of two bounds around 0", "在关于零对称的两界之外"),
    Row("apart", "combine", r"\tau \text{ if } u > 0 \text{ else } \tau - 1 = \tau - [u \le 0]", "two branches that are a number apart", "相差一个常数的两支"),
    Row("fold_branch", "combine", r"1 \text{ if } z > 0 \text{ else } \alpha e^z = 1 \text{ if } z > 0 \text{ else } a + \alpha,\quad a = z \text{ if } z > 0 \text{ else } \alpha (e^z - 1)", "in a branch a definition by cases is that case", "在分情形的一支中，分情形的定义取该支"),
    Row("compared", "combine", r"[\tau u > (\tau - 1) u] = [u > 0]", "what both sides of a comparison share goes, positive factors too", "约去不等式两侧的共同项与正因子"),
    Row("isolated", "combine", r"[a - b > 0] = [a > b],\quad [z + 3 > 0] = [z > -3]", "what is subtracted stands on the other side of a comparison, numbers on the right", "减去的项移到不等式另一侧，数放在右侧"),
    Row("bounded", "combine", r"[\max(u, a) < b] = [u < b] \quad (a < b)", "a bound that cannot decide a comparison goes", "不影响比较的界可去掉"),
    Row("monotone", "combine", r"[e^u > 1] = [u > 0]", "a function that grows goes from a comparison", "单调函数可从比较中去掉"),
    Row("between", "combine", r"[u > -c]\,[u < c] = [|u| < c]", "two conditions on either side of 0 are one", "关于零对称的两个条件合一"),
    Row("logistic", "combine", r"\frac{e^u}{1 + e^u} = \sigma(u)", "an exponential over one plus it is logistic", "指数除以一加该指数为 σ"),
    Row("normalised", "combine", r"\frac{e^{u_k}}{\sum_j e^{u_j}} = \operatorname{softmax}(u)_k", "an exponential over the sum of all is softmax", "指数除以全体指数之和为 softmax"),
    Row("exponential_quotient", "combine", r"\frac{e^u}{e^u + e^w} = \sigma(u - w)", "an exponential over the sum of two is logistic", "指数除以两指数之和为 σ"),
    Row("mirrored", "combine", r"1 - \sigma(-u) = \sigma(u),\quad \sigma(u) - \sigma(-u) = 2\sigma(u) - 1", "the logistic function is symmetric", "σ 的对称性"),
    Row("half_angle", "combine", r"2 \sigma(u) - 1 = \tanh \tfrac u2", "the logistic function between −1 and 1", "取值于 −1 与 1 之间的 logistic 函数"),
    Row("log_quotient", "combine", r"\log a - \log b = \log \frac ab", "the difference of two logarithms", "两对数之差"),
    Row("hyperbolic", "combine", r"\frac{\sinh u}{\cosh u} = \tanh u", "the quotient of sinh and cosh is tanh", "sinh 与 cosh 之商为 tanh"),
    Row("double_angle", "combine", r"2 \sin u \cos u = \sin 2u", "twice the product of sine and cosine, also where a definition names the sine", "正弦与余弦之积的二倍"),
    Row("angle_difference", "combine", r"\sin u \cos w - \cos u \sin w = \sin(u - w),\quad \cos u \cos w + \sin u \sin w = \cos(u - w)", "the sine and cosine of a difference or a sum of angles", "两角和差的正弦与余弦"),
    Row("on_diagonal", "combine", r"\delta_{ij} f(i, j) = \delta_{ij} f(i, i)", "beside a δ both letters are one", "δ 旁两指标相同"),
    Row("roots", "combine", r"\sqrt a \sqrt b = \sqrt{a b}", "roots of positive constants merge", "正常数的根式相乘"),
    Row("inverse_of_inverse", "combine", r"(A^{-1})^{-1} = A", "the inverse of an inverse", "逆之逆"),
    Row("inverse_cancels", "combine", r"A^{-1} A = I", "a matrix and its inverse cancel", "矩阵与其逆相消"),
    Row("inverse_of_product", "combine", r"(A B)^{-1} = B^{-1} A^{-1}", "the inverse of a product of square matrices", "方阵乘积的逆"),
    Row("exact_quotient", "combine", r"\frac{p^2 - q^2}{p - q} = p + q,\quad \frac{1 + z/r}{z + r} = \frac 1r", "a sum that is a multiple of its divisor, also by its definition", "和式可被除式（或其定义式）整除"),
    Row("root_below", "combine", r"\frac{1}{d\,(1 - b)^2} = \frac{d}{1 - b^2} \quad \Bigl(d = \sqrt{\tfrac{1 + b}{1 - b}}\Bigr)", "a root below the line goes above what is under it", "分母有理化"),
    Row("divisor_inside", "combine", r"\frac{1}{\nu (1 + x/\nu)} = \frac{1}{\nu + x},\quad \frac{1}{x (1 + y^2/x^2)} = \frac{x}{x^2 + y^2}", "a divisor within a divisor goes", "繁分式化简"),
    Row("divisor_into_sum", "combine", r"\frac{1}{s^2} \sum_i \frac{x_i^2}{1 + x_i^2/s^2} = \sum_i \frac{x_i^2}{s^2 + x_i^2}", "a divisor before a sum goes where it meets a divisor within", "求和号前的除式乘入繁分式"),
    Row("conjugates", "combine", r"(1 + y)(1 - y) = 1 - y^2", "a sum times its conjugate", "平方差公式"),
    Row("root_quotient", "combine", r"\frac{x}{\sqrt{x y}} = \sqrt{\frac xy} \quad (x > 0)", "a factor goes under the root", "因子移入根号"),
    Row("divided_once", "combine", r"\frac{a - b x}{x^2} = \frac{a/x - b}{x}", "a factor of one summand cancels one of several equal divisors", "某项的因子约去相同除式之一"),
    Row("together", "combine", r"\frac{a}{x} + \frac{b}{y} = \frac{a y + b x}{x y}", "one common denominator, where that shortens", "通分（使式子变短时）"),
    Row("multiply_out", "combine", r"\Bigl(\frac{a}{x} + b\Bigr) x = a + b x", "multiplied out, where something cancels", "展开后可约时展开"),
    Row("expand_terms", "combine", r"y (s - 1) + (1 - y) s = s - y", "a sum of products multiplied out, where that shortens", "展开乘积之和（使式子变短时）"),
    Row("whole_power", "combine", r"x \Bigl(\frac xl\Bigr)^{k - 1} = l \Bigl(\frac xl\Bigr)^k", "a factor goes into the power of a quotient", "因子并入商的幂"),
    Row("fold_power", "combine", r"S^{1/p - 1} = f^{1 - p} \quad (f = S^{1/p}),\quad \frac 1S = \frac fn \quad (f = n/S)", "a power of a sum by the definition that is another power of it", "由以同一和的幂为定义的量表示该和的幂"),
    Row("common_exponent", "combine", r"x^{p - 1} f^{1 - p} = \Bigl(\frac xf\Bigr)^{p - 1} \quad (x, f \ge 0)", "powers with one exponent are one power", "同指数的幂相乘"),
    Row("complement", "collect", r"1 - [c] = [\lnot c],\quad a[c] + b[\lnot c] = a + (b - a)[\lnot c]", "a condition and its opposite are one condition", "条件与其否定合为一个条件"),
    Row("masks", "collect", r"a[c] + b[\lnot c] = a \text{ if } c \text{ else } b", "two masks are a case distinction", "两个掩码合为分情形"),
    Row("clipped_minimum", "collect", r"[c u \le r u]\,[l < r]\,[r < h] + [r u < c u] = [r u \le c u] \quad (c = \operatorname{clip}(r, l, h))", "a minimum with a clipped copy is one condition; at the bounds there is no slope", "与截断值取最小：合为一个条件；边界处无导数"),
    Row("unclipped", "collect", r"c - z\,[|z| < q] = c\,[|z| \ge q] \quad (c = \operatorname{clip}(z, -q, q))", "between its bounds a clipped number is the number", "在界内截断值等于原值"),
    Row("kinked", "collect", r"a[x > 0] + b[x < 0] = a \text{ if } x > 0 \text{ else } b \quad (x \ne 0)", "two masks on either side of a kink; at the kink there is no slope", "折点两侧的掩码合为分情形；折点处无导数"),
    Row("common_power", "collect", r"a x^\gamma - b x^{1 + \gamma} = x^\gamma (a - b x)", "a common power with a letter as exponent", "提取字母指数的公因幂"),
    Row("common_factor", "collect", r"a b + a c = a (b + c)", "what all terms share stands in front", "提取所有项的公因子"),
    Row("multiple", "collect", r"c (x - y) + x - y = (c + 1)(x - y)", "summands that are a multiple of a factor of another", "若干项之和是另一项因子的倍数"),
    Row("partial_factor", "collect", r"a b + a c + d = a (b + c) + d,\quad a - b + c (b - a) = (a - b)(1 - c)", "what some terms share, where that shortens", "提取部分项的公因子"),
    Row("spread_number", "collect", r"\tfrac12 (a + 2 b) = \tfrac12 a + b", "a number multiplied out where it cancels", "数字可约时乘入"),
    Row("under_one_sum", "collect", r"\sum_k x_k c_k + \sum_k y_k c_k = \sum_k (x_k + y_k) c_k", "two contractions with a common factor are one: (A + Aᵀ) x", "有公因子的两个缩并合一：(A + Aᵀ) x"),
    Row("one_sum", "collect", r"\sum_n x_n + \sum_n y_n = \sum_n (x_n + y_n)", "two sums over the same letters are one", "同指标的两个和合一"),
    Row("turn_difference", "collect", r"-(t - y) = y - t,\quad -\operatorname{sign}(t - y) = \operatorname{sign}(y - t)", "a minus is used up by a difference, through an odd function too", "负号并入差（亦可穿过奇函数）"),
    Row("positive_first", "collect", r"-t + y = y - t", "a term with a plus stands first", "正项在前"),
    Row("fold", "fold", r"\text{value}(e) = \text{value}(u) \;\Rightarrow\; e = u", "a part that has the value of something shorter over the network's own names; proved by putting definitions in and multiplying out: x − μ = x̂ s, (1 − z)(g − h) = g − h′, p m = p", "某部分与网络中更短的式子等值；代入定义并展开予以证明：x − μ = x̂ s，(1 − z)(g − h) = g − h′，p m = p"),
)
# fmt: on


def catalogue(lang: str = "en") -> str:
    """The laws as a page in Markdown."""
    chinese = lang == "zh"
    title = "# 化简所用的定律" if chinese else "# The laws of simplification"
    intro = (
        "由代码生成：`symbp/laws.py`。每条定律都在随机尺寸与随机点上检验。"
        if chinese
        else "Generated from the code, `symbp/laws.py`. Every law is tested by sampling at random sizes and points."
    )
    lines = [title, "", intro]
    for group, words in GROUPS.items():
        lines += ["", f"## {words[chinese]}", ""]
        lines += ["| 名称 | 定律 | 含义 |" if chinese else "| name | law | what it says |", "|---|---|---|"]
        for row in LAWS:
            if row.group == group:
                formula = row.formula.replace("|", r"\vert ")
                lines.append(f"| `{row.name}` | ${formula}$ | {row.chinese if chinese else row.english} |")
    return "\n".join(lines) + "\n"
