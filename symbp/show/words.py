"""Every word that a derivation says, in English and Chinese."""

from __future__ import annotations

WORDS: dict[str, tuple[str, str]] = {
    "forward": ("Forward pass", "前向传播"),
    "backward": ("Backward pass", "反向传播"),
    "result": ("Gradients", "梯度"),
    "facts": ("Known", "已知"),
    "sizes": ("Sizes", "尺寸"),
    "definition": ("definition", "定义"),
    "chain-rule": ("chain rule", "链式法则"),
    "local-slope": ("local slope", "局部导数"),
    "contraction": ("use up δ", "消去 δ"),
    "fork": ("add the paths", "各路径相加"),
    "simplification": ("simplify", "化简"),
    "matrix-form": ("matrix form", "矩阵形式"),
    "index-form": ("index form", "分量形式"),
    "closed-form": ("closed form", "闭式"),
    "check": ("check", "数值检验"),
    "update": ("Update rules", "更新规则"),
    "values": ("Values at the given point", "在给定点的数值"),
    "tensor": ("name", "名称"),
    "value": ("value", "值"),
    "held": ("Not differentiated", "不求导"),
    "held_because": ("because", "因为"),
    "insert": ("insert", "代入"),
    "contract": ("cancel", "约分、合并"),
    "facts-law": ("use a fact", "利用已知"),
    "combine": ("expand", "展开、通分"),
    "collect": ("factor", "提取公因子"),
    "because": ("because {0}", "因为 {0}"),
    "definition-of": ("by the definition of {0}", "由 {0} 的定义"),
    "softmax-sums": ("a softmax sums to 1", "softmax 各分量之和为 1"),
    "as": ("as before", "同上"),
    "checked": ("relative error {0}, {1} points", "相对误差 {0}，{1} 个点"),
    "failed": ("FAILED: relative error {0}", "未通过：相对误差 {0}"),
    "undecided": ("undecided: {0}", "未定：{0}"),
    "kink": ("At a kink the slope is taken as 0: relu'(0) = sign(0) = 0; of several maxima each gets the gradient.",
             "在不可导点约定导数为 0：relu'(0) = sign(0) = 0；若有多个最大值，梯度传给每一个。"),
    "delta_minus": ("Here δ := −∂{0}/∂z.", "这里 δ := −∂{0}/∂z。"),
    "one_path": ("{0} is used once, in {1}.", "{0} 只用于 {1}。"),
    "paths": ("{0} is used in {1}; its gradients add up.", "{0} 用于 {1}，各处梯度相加。"),
    "given": ("given", "给定"),
    "otherwise": ("otherwise", "否则"),
    "rate": ("learning rate", "学习率"),
    "relation": ("sizes that must agree", "尺寸关系"),
}  # fmt: skip


def say(key: str, lang: str = "en", *args: str) -> str:
    """The phrase in the language, its places filled."""
    phrase = WORDS[key][1 if lang == "zh" else 0]
    for n, a in enumerate(args):
        phrase = phrase.replace(f"{{{n}}}", a)
    return phrase
