"""The built-in networks declared in SymPy: `symbp derive examples/zoo_sympy.py:net`, or

    from zoo_sympy import ZOO
    ZOO["softmax-kl"]().derive()

A vector of the text file is a column here, because SymPy's matrices have two axes. Where
Eq(left, right) would be evaluated by SymPy at once, the equation is a pair (left, right).
"""

from __future__ import annotations

from collections.abc import Callable

import sympy as sp
from sympy import Eq, MatrixSymbol, OneMatrix, Symbol, symbols

import symbp as sb

B, C, D, H, I, J, K, N = symbols("B C D H I J K N", integer=True, positive=True)
ZOO: dict[str, Callable[[], sb.Network]] = {}


def network(name: str, *facts: str) -> Callable[[Callable[[], list[object]]], Callable[[], sb.Network]]:
    """Put the equations that a function returns into the zoo."""

    def put(equations: Callable[[], list[object]]) -> Callable[[], sb.Network]:
        ZOO[name] = lambda: sb.Network(equations(), name=name, facts=facts)
        return ZOO[name]

    return put


def matrices(names: str, rows: object, columns: object) -> list[MatrixSymbol]:
    """Matrices of one shape: `W1, W2 = matrices("W1 W2", D, H)`."""
    return [MatrixSymbol(name, rows, columns) for name in names.split()]


def matrix(name: str, rows: object, columns: object) -> MatrixSymbol:
    return MatrixSymbol(name, rows, columns)


def column(name: str, rows: object) -> MatrixSymbol:
    return MatrixSymbol(name, rows, 1)


# ---- circuits ----------------------------------------------------------------------------------


@network("circuit-add-mul")
def circuit_add_mul() -> list[object]:
    x, y, z, q, f = symbols("x y z q f")
    return [Eq(q, x + y), Eq(f, q * z)]


@network("circuit-sigmoid")
def circuit_sigmoid() -> list[object]:
    w0, x0, w1, x1, w2, p, q, r, z, u, v, s, f = symbols("w0 x0 w1 x1 w2 p q r z u v s f")
    gates = [Eq(p, w0 * x0), Eq(q, w1 * x1), Eq(r, p + q), Eq(z, r + w2)]
    return [*gates, Eq(u, -z), Eq(v, sp.exp(u)), Eq(s, 1 + v), Eq(f, 1 / s)]


@network("circuit-sigmoid-gate")
def circuit_sigmoid_gate() -> list[object]:
    w0, x0, w1, x1, w2, z, f = symbols("w0 x0 w1 x1 w2 z f")
    return [Eq(z, w0 * x0 + w1 * x1 + w2), Eq(f, sb.sigmoid(z))]


@network("circuit-max")
def circuit_max() -> list[object]:
    x, y, z, w, p, m, q, f = symbols("x y z w p m q f")
    return [Eq(p, x * y), Eq(m, sp.Max(z, w)), Eq(q, p + m), Eq(f, 2 * q)]


@network("circuit-fork")
def circuit_fork() -> list[object]:
    x, y, z, q, u, v, f = symbols("x y z q u v f")
    return [Eq(q, x + y), Eq(u, q * z), Eq(v, q**2), Eq(f, u + v)]


@network("half-square")
def half_square() -> list[object]:
    x, f = symbols("x f")
    return [Eq(f, x**2 / 2)]


@network("one-parameter")
def one_parameter() -> list[object]:
    w, y, cost = symbols("w y C")
    target = 0
    return [Eq(y, w**2), Eq(cost, (y - target) ** 2 / 2)]


@network("one-parameter-any", "fixed(x, t)")
def one_parameter_any() -> list[object]:
    w, x, t, y, cost = symbols("w x t y C")
    return [Eq(y, w**2 * x), Eq(cost, (y - t) ** 2 / 2)]


# ---- single neurons ----------------------------------------------------------------------------


@network("linear-neuron", "fixed(x, t)")
def linear_neuron() -> list[object]:
    x, w = matrices("x w", I, 1)
    t, y, E = symbols("t y E")
    return [Eq(y, sb.dot(x, w)), Eq(E, (t - y) ** 2 / 2)]


@network("linear-neuron-batch", "fixed(X, t)")
def linear_neuron_batch() -> list[object]:
    X, w, (t, y), E = matrix("X", N, I), column("w", I), matrices("t y", N, 1), Symbol("E")
    return [Eq(y, X * w), Eq(E, sb.total(sb.square(t - y)) / 2)]


@network("linear-regression", "fixed(X, t)")
def linear_regression() -> list[object]:
    X, w, (t, y) = matrix("X", N, D), column("w", D), matrices("t y", N, 1)
    b, L = symbols("b L")
    return [(y, X * w + b * OneMatrix(N, 1)), Eq(L, sb.mean(sb.square(y - t)))]


@network("ridge", "lam > 0", "fixed(X, t, lam)")
def ridge() -> list[object]:
    X, w, (t, y) = matrix("X", N, D), column("w", D), matrices("t y", N, 1)
    lam, L = symbols("lam L")
    return [Eq(y, X * w), Eq(L, sb.total(sb.square(y - t)) + lam * sb.norm2sq(w))]


@network("minibatch", "fixed(X, T)")
def minibatch() -> list[object]:
    X, W, (T, Y), E = matrix("X", B, I), matrix("W", I, J), matrices("T Y", B, J), Symbol("E")
    return [Eq(Y, X * W), Eq(E, sb.total(sb.square(Y - T)) / (2 * B))]


@network("logistic-neuron", "fixed(x, t)")
def logistic_neuron() -> list[object]:
    x, w = matrices("x w", I, 1)
    b, t, z, y, E = symbols("b t z y E")
    return [Eq(z, b + sb.dot(x, w)), Eq(y, 1 / (1 + sp.exp(-z))), Eq(E, (t - y) ** 2 / 2)]


@network("logistic-neuron-batch", "fixed(X, t)")
def logistic_neuron_batch() -> list[object]:
    X, w, (t, z, y) = matrix("X", N, I), column("w", I), matrices("t z y", N, 1)
    b, E = symbols("b E")
    return [(z, b * OneMatrix(N, 1) + X * w), Eq(y, sb.sigmoid(z)), Eq(E, sb.total(sb.square(t - y)) / 2)]


def cross_entropy(t: MatrixSymbol, p: MatrixSymbol) -> object:
    """Binary cross-entropy, the mean over samples."""
    ones = OneMatrix(*t.shape)
    return -sb.mean(sb.hadamard(t, sb.log(p)) + sb.hadamard(ones - t, sb.log(ones - p)))


@network("logistic-regression", "binary(t)", "fixed(X)")
def logistic_regression() -> list[object]:
    X, w, (t, z, p) = matrix("X", N, D), column("w", D), matrices("t z p", N, 1)
    b, L = symbols("b L")
    return [(z, X * w + b * OneMatrix(N, 1)), Eq(p, sb.sigmoid(z)), Eq(L, cross_entropy(t, p))]


# ---- vectors -----------------------------------------------------------------------------------


@network("l2-of-matvec")
def l2_of_matvec() -> list[object]:
    W, x, q, f = matrix("W", I, J), column("x", J), column("q", I), Symbol("f")
    return [Eq(q, W * x), Eq(f, sb.norm2sq(q))]


@network("mean-square-2x2")
def mean_square_2x2() -> list[object]:
    (x, y, z), out = matrices("x y z", 2, 2), Symbol("out")
    return [Eq(y, x + 2 * OneMatrix(2, 2)), Eq(z, 2 * sb.square(y)), Eq(out, sb.mean(z))]


@network("elementwise-max", "fixed(dy)")
def elementwise_max() -> list[object]:
    (x, y, dy), L = matrices("x y dy", 4096, 1), Symbol("L")
    return [Eq(y, sb.maximum(0, x)), Eq(L, sb.dot(dy, y))]


@network("vjp-exp", "fixed(dy)")
def vjp_exp() -> list[object]:
    (z, y, dy), L = matrices("z y dy", I, 1), Symbol("L")
    return [Eq(y, sb.exp(z)), Eq(L, sb.dot(dy, y))]


@network("softmax-cross-entropy", "onehot(t, axis=0)")
def softmax_cross_entropy() -> list[object]:
    (z, t, p), L = matrices("z t p", K, 1), Symbol("L")
    return [Eq(p, sb.softmax(z)), Eq(L, -sb.dot(t, sb.log(p)))]


@network("softmax-kl", "onehot(t, axis=0)")
def softmax_kl() -> list[object]:
    (z, t, p), divergence = matrices("z t p", K, 1), Symbol("D")
    ratio = sb.hadamard(t, sp.HadamardPower(p, -1))
    return [Eq(p, sb.softmax(z)), Eq(divergence, sb.total(sb.xlogy(t, ratio)))]


@network("softmax-kl-positive", "t > 0", "sum(t, axis=0) == 1", "fixed(t)")
def softmax_kl_positive() -> list[object]:
    (z, t, p), divergence = matrices("z t p", K, 1), Symbol("D")
    ratio = sb.hadamard(t, sp.HadamardPower(p, -1))
    return [Eq(p, sb.softmax(z)), Eq(divergence, sb.dot(t, sb.log(ratio)))]


@network("softmax-classifier", "onehot(T, axis=1)", "fixed(X)")
def softmax_classifier() -> list[object]:
    X, W, b, (T, Z, P) = matrix("X", N, D), matrix("W", D, C), column("b", C), matrices("T Z P", N, C)
    L = Symbol("L")
    return [
        Eq(Z, X * W + sb.rows(b, N)),
        Eq(P, sb.softmax(Z, axis=1)),
        Eq(L, -sb.total(sb.hadamard(T, sb.log(P))) / N),
    ]


@network("svm", "onehot(t, axis=0)", "fixed(x, lam)")
def svm() -> list[object]:
    W, x, (t, s, m) = matrix("W", C, D), column("x", D), matrices("t s m", C, 1)
    lam, s_y, data, R, L = symbols("lam s_y data R L")
    ones = OneMatrix(C, 1)
    return [
        Eq(s, W * x),
        Eq(s_y, sb.dot(t, s)),
        (m, sb.maximum(0, s - s_y * ones + ones)),
        Eq(data, sb.total(sb.hadamard(ones - t, m))),
        Eq(R, sb.norm2sq(W)),
        Eq(L, data + lam * R),
    ]


# ---- layers ------------------------------------------------------------------------------------


@network("relu-2", "fixed(df)")
def relu_2() -> list[object]:
    x, W1, W2 = column("x", D), matrix("W1", H, D), matrix("W2", C, H)
    (z, a), (f, df), L = matrices("z a", H, 1), matrices("f df", C, 1), Symbol("L")
    return [Eq(z, W1 * x), Eq(a, sb.maximum(0, z)), Eq(f, W2 * a), Eq(L, sb.dot(df, f))]


@network("relu-3", "fixed(df)")
def relu_3() -> list[object]:
    H1, H2 = symbols("H1 H2", integer=True, positive=True)
    x, W1, W2, W3 = column("x", D), matrix("W1", H1, D), matrix("W2", H2, H1), matrix("W3", C, H2)
    (z1, a1), (z2, a2), (f, df) = matrices("z1 a1", H1, 1), matrices("z2 a2", H2, 1), matrices("f df", C, 1)
    return [
        Eq(z1, W1 * x),
        Eq(a1, sb.maximum(0, z1)),
        Eq(z2, W2 * a1),
        Eq(a2, sb.maximum(0, z2)),
        Eq(f, W3 * a2),
        Eq(Symbol("L"), sb.dot(df, f)),
    ]


def relu_batch(activation: Callable[[MatrixSymbol], object], name: str, sizes: tuple[object, ...]) -> list[object]:
    """h = x W1, an activation, y_pred = ... W2, summed squares."""
    n, inputs, hidden, outputs = sizes
    x, W1, W2 = matrix("x", n, inputs), matrix("W1", inputs, hidden), matrix("W2", hidden, outputs)
    (h, a), (y, y_pred) = matrices(f"h {name}", n, hidden), matrices("y y_pred", n, outputs)
    return [
        Eq(h, x * W1),
        Eq(a, activation(h)),
        Eq(y_pred, a * W2),
        Eq(Symbol("loss"), sb.total(sb.square(y_pred - y))),
    ]


@network("relu-batch-64x1000x100x8", "fixed(x, y)")
def relu_batch_64x1000x100x8() -> list[object]:
    return relu_batch(lambda h: sb.maximum(h, 0), "h_relu", (64, 1000, 100, 8))


@network("leaky-relu-batch", "fixed(x, y)")
def leaky_relu_batch() -> list[object]:
    return relu_batch(lambda h: sb.leaky_relu(h, 0.01), "h_leaky", (64, 1000, 100, 8))


@network("prelu-batch", "fixed(x, y)")
def prelu_batch() -> list[object]:
    x, W1, W2, (y, y_pred) = matrix("x", N, D), matrix("W1", D, H), matrix("W2", H, C), matrices("y y_pred", N, C)
    (z, v), slope = matrices("z v", N, H), Symbol("slope")
    return [
        Eq(z, x * W1),
        Eq(v, sb.maximum(z, 0) + slope * sb.minimum(z, 0)),
        Eq(y_pred, v * W2),
        Eq(Symbol("loss"), sb.total(sb.square(y_pred - y))),
    ]


@network("logistic-layers", "fixed(y0, t)")
def logistic_layers() -> list[object]:
    y0, w1, w2 = column("y0", I), matrix("w1", I, J), matrix("w2", J, K)
    (b1, x1, y1), (b2, x2, y2, t) = matrices("b1 x1 y1", J, 1), matrices("b2 x2 y2 t", K, 1)
    return [
        Eq(x1, b1 + w1.T * y0),
        Eq(y1, sb.sigmoid(x1)),
        Eq(x2, b2 + w2.T * y1),
        Eq(y2, sb.sigmoid(x2)),
        Eq(Symbol("E"), sb.total(sb.square(t - y2)) / 2),
    ]


@network("mlp-3-4-2", "fixed(x1, x2, x3, t1, t2)")
def mlp_3_4_2() -> list[object]:
    inputs, hidden, outputs = (1, 2, 3), (4, 5, 6, 7), (8, 9)
    out = {i: Symbol(f"x{i}") for i in inputs} | {i: Symbol(f"a{i}") for i in hidden}
    out |= {i: Symbol(f"y{i - 7}") for i in outputs}
    equations: list[object] = []
    for units, below in ((hidden, inputs), (outputs, hidden)):
        for j in units:
            net = Symbol(f"net{j}")
            equations += [
                Eq(net, sum(Symbol(f"w{j}{i}") * out[i] for i in below) + Symbol(f"w{j}b")),
                Eq(out[j], sb.sigmoid(net)),
            ]
    error = sum((Symbol(f"t{i - 7}") - out[i]) ** 2 for i in outputs)
    return [*equations, Eq(Symbol("E"), error / 2)]


@network("mlp-3-4-2-matrix", "fixed(x, t)")
def mlp_3_4_2_matrix() -> list[object]:
    x, x_1, W1, W2 = column("x", 3), column("x_1", 4), matrix("W1", 4, 4), matrix("W2", 2, 5)
    (net1, a), a_1, (net2, y, t) = matrices("net1 a", 4, 1), column("a_1", 5), matrices("net2 y t", 2, 1)
    one = OneMatrix(1, 1)
    return [
        Eq(x_1, sp.BlockMatrix([[x], [one]])),
        Eq(net1, W1 * x_1),
        Eq(a, sb.sigmoid(net1)),
        Eq(a_1, sp.BlockMatrix([[a], [one]])),
        Eq(net2, W2 * a_1),
        Eq(y, sb.sigmoid(net2)),
        Eq(Symbol("E"), sb.total(sb.square(t - y)) / 2),
    ]


@network("mlp-sigmoid-bce", "binary(t)", "fixed(X)")
def mlp_sigmoid_bce() -> list[object]:
    X, W1, b1, w2, b2 = matrix("X", N, D), matrix("W1", D, H), column("b1", H), column("w2", H), Symbol("b2")
    (Z1, A1), (t, z2, p) = matrices("Z1 A1", N, H), matrices("t z2 p", N, 1)
    return [
        Eq(Z1, X * W1 + sb.rows(b1, N)),
        Eq(A1, sb.sigmoid(Z1)),
        (z2, A1 * w2 + b2 * OneMatrix(N, 1)),
        Eq(p, sb.sigmoid(z2)),
        Eq(Symbol("L"), cross_entropy(t, p)),
    ]


@network("mlp-4", "fixed(x, t)")
def mlp_4() -> list[object]:
    n = symbols("n:5", integer=True, positive=True)
    a = column("x", n[0])
    t, equations = column("t", n[4]), []
    for layer in range(1, 5):
        W, (b, z) = matrix(f"W{layer}", n[layer], n[layer - 1]), matrices(f"b{layer} z{layer}", n[layer], 1)
        equations.append(Eq(z, W * a + b))
        if layer < 4:
            a = column(f"a{layer}", n[layer])
            equations.append(Eq(a, sb.tanh(z)))
    return [*equations, Eq(Symbol("E"), sb.total(sb.square(z - t)) / 2)]


def penalised(penalty: Callable[[MatrixSymbol], object]) -> list[object]:
    """Squared error and a penalty on W."""
    X, W, (Y, P) = matrix("X", N, D), matrix("W", D, C), matrices("Y P", N, C)
    lam, E, R, L = symbols("lam E R L")
    return [Eq(P, X * W), Eq(E, sb.total(sb.square(P - Y)) / 2), Eq(R, penalty(W)), Eq(L, E + lam * R)]


@network("weight-decay", "lam > 0", "fixed(X, Y, lam)")
def weight_decay() -> list[object]:
    return penalised(lambda W: sb.norm2sq(W) / 2)


@network("weight-decay-l1", "lam > 0", "fixed(X, Y, lam)")
def weight_decay_l1() -> list[object]:
    return penalised(lambda W: sb.total(sb.abs(W)))


@network("dropout", "binary(M)", "0 < keep < 1", "fixed(X, Y, keep)")
def dropout() -> list[object]:
    X, W1, W2, (Y, P) = matrix("X", N, D), matrix("W1", D, H), matrix("W2", H, C), matrices("Y P", N, C)
    (M, Z, A, dropped), keep = matrices("M Z A B", N, H), Symbol("keep")
    return [
        Eq(Z, X * W1),
        Eq(A, sb.relu(Z)),
        Eq(dropped, sb.hadamard(A, M) / keep),
        Eq(P, dropped * W2),
        Eq(Symbol("L"), sb.total(sb.square(P - Y)) / 2),
    ]


@network("autoencoder-tied", "fixed(X)")
def autoencoder_tied() -> list[object]:
    (X, Y), W, b, c, (Z, A) = (
        matrices("X Y", N, D),
        matrix("W", D, H),
        column("b", H),
        column("c", D),
        matrices("Z A", N, H),
    )
    return [
        Eq(Z, X * W + sb.rows(b, N)),
        Eq(A, sb.sigmoid(Z)),
        Eq(Y, A * W.T + sb.rows(c, N)),
        Eq(Symbol("L"), sb.total(sb.square(Y - X)) / 2),
    ]


@network("rnn-step", "fixed(dh)")
def rnn_step() -> list[object]:
    W_h, W_x, x = matrix("W_h", H, H), matrix("W_x", H, D), column("x", D)
    h_prev, z, h, dh = matrices("h_prev z h dh", H, 1)
    return [Eq(z, W_h * h_prev + W_x * x), Eq(h, sb.tanh(z)), Eq(Symbol("L"), sb.dot(dh, h))]


@network("lstm-step", "fixed(dh)", "fixed(x)")
def lstm_step() -> list[object]:
    W_i, W_f, W_o, W_c = matrices("W_i W_f W_o W_c", H, D)
    U_i, U_f, U_o, U_c = matrices("U_i U_f U_o U_c", H, H)
    p_i, p_f, p_o, b_i, b_f, b_o, b_c = matrices("p_i p_f p_o b_i b_f b_o b_c", H, 1)
    h_prev, c_prev, z_i, z_f, z_c, z_o = matrices("h_prev c_prev z_i z_f z_c z_o", H, 1)
    i, f, g, c, o, h, dh = matrices("i f g c o h dh", H, 1)
    x = column("x", D)
    return [
        Eq(z_i, W_i * x + U_i * h_prev + sb.hadamard(p_i, c_prev) + b_i),
        Eq(z_f, W_f * x + U_f * h_prev + sb.hadamard(p_f, c_prev) + b_f),
        Eq(z_c, W_c * x + U_c * h_prev + b_c),
        Eq(i, sb.sigmoid(z_i)),
        Eq(f, sb.sigmoid(z_f)),
        Eq(g, sb.tanh(z_c)),
        Eq(c, sb.hadamard(f, c_prev) + sb.hadamard(i, g)),
        Eq(z_o, W_o * x + U_o * h_prev + sb.hadamard(p_o, c) + b_o),
        Eq(o, sb.sigmoid(z_o)),
        Eq(h, sb.hadamard(o, sb.tanh(c))),
        Eq(Symbol("L"), sb.dot(dh, h)),
    ]


@network("gru-step", "fixed(dh)", "fixed(x)")
def gru_step() -> list[object]:
    W_z, W_r, W_n = matrices("W_z W_r W_n", H, D)
    U_z, U_r, U_n = matrices("U_z U_r U_n", H, H)
    h_prev, z, r, n, h, dh = matrices("h_prev z r n h dh", H, 1)
    x = column("x", D)
    return [
        Eq(z, sb.sigmoid(W_z * x + U_z * h_prev)),
        Eq(r, sb.sigmoid(W_r * x + U_r * h_prev)),
        Eq(n, sb.tanh(W_n * x + U_n * sb.hadamard(r, h_prev))),
        Eq(h, sb.hadamard(z, h_prev) + sb.hadamard(OneMatrix(H, 1) - z, n)),
        Eq(Symbol("L"), sb.dot(dh, h)),
    ]


@network("batch-norm", "fixed(dY)")
def batch_norm() -> list[object]:
    X, X_hat, Y, dY = matrices("X X_hat Y dY", N, D)
    gamma, beta = matrices("gamma beta", D, 1)
    mu, v, s = matrices("mu v s", 1, D)
    eps = sp.Float("0.00001")
    return [
        Eq(mu, sb.mean(X, axis=0)),
        Eq(v, sb.mean(sb.square(X - OneMatrix(N, 1) * mu), axis=0)),
        Eq(s, sb.sqrt(v + eps * OneMatrix(1, D))),
        Eq(X_hat, sb.hadamard(X - OneMatrix(N, 1) * mu, sp.HadamardPower(OneMatrix(N, 1) * s, -1))),
        Eq(Y, sb.hadamard(sb.rows(gamma, N), X_hat) + sb.rows(beta, N)),
        Eq(Symbol("L"), sb.total(sb.hadamard(dY, Y))),
    ]


@network("self-attention", "fixed(dY)")
def self_attention() -> list[object]:
    T, d, k, v = symbols("T d k v", integer=True, positive=True)
    X, (Wq, Wk), Wv = matrix("X", T, d), matrices("Wq Wk", d, k), matrix("Wv", d, v)
    (Q, K_), (V, Y, dY), (S, A) = matrices("Q K", T, k), matrices("V Y dY", T, v), matrices("S A", T, T)
    row, column_ = symbols("row column", integer=True)
    mask = sp.FunctionMatrix(T, T, sp.Lambda((row, column_), sp.Piecewise((1, column_ <= row), (0, True))))
    return [
        Eq(Q, X * Wq),
        Eq(K_, X * Wk),
        Eq(V, X * Wv),
        Eq(S, Q * K_.T / sp.sqrt(k)),
        Eq(A, sb.softmax(sb.where(mask, S, -sp.oo), axis=1)),
        Eq(Y, A * V),
        Eq(Symbol("L"), sb.total(sb.hadamard(dY, Y))),
    ]


@network("swiglu", "fixed(dY)")
def swiglu() -> list[object]:
    F = Symbol("F", integer=True, positive=True)
    (X, Y, dY), (W1, V1), W2 = matrices("X Y dY", N, D), matrices("W1 V1", D, F), matrix("W2", F, D)
    Z, G, A = matrices("Z G A", N, F)
    return [
        Eq(Z, X * W1),
        Eq(G, X * V1),
        Eq(A, sb.hadamard(sb.silu(Z), G)),
        Eq(Y, X + A * W2),
        Eq(Symbol("L"), sb.total(sb.hadamard(dY, Y))),
    ]


@network("scalar-chain-3", "fixed(x)")
def scalar_chain_3() -> list[object]:
    x, w1, w2, w3, a1, a2, y, E = symbols("x w1 w2 w3 a1 a2 y E")
    f1, f2, f3, C_ = map(sp.Function, ("f1", "f2", "f3", "C"))
    return [Eq(a1, f1(w1 * x)), Eq(a2, f2(w2 * a1)), Eq(y, f3(w3 * a2)), Eq(E, C_(y))]


@network("chain-jacobian")
def chain_jacobian() -> list[object]:
    m, n = symbols("m n", integer=True, positive=True)
    x, y, g, f = column("x", m), column("y", n), sp.Function("g"), sp.Function("f")
    return [(y, g(x)), Eq(Symbol("z"), f(y))]


# ---- any depth, any number of steps ----------------------------------------------------------------

L, T = symbols("L T", integer=True, positive=True)
l, t = sp.Idx("l", (1, L)), sp.Idx("t", (1, T))  # numbers of layers and steps
i, j = symbols("i j", cls=sp.Idx)  # along axes, counted from 1
n = sp.IndexedBase("n")  # how many units a layer has


def arrays(names: str) -> list[sp.IndexedBase]:
    return [sp.IndexedBase(name) for name in names.split()]


@network("deep", "fixed(x)")
def deep() -> list[object]:
    W, b, a, z, x = arrays("W b a z x")
    f, C = sp.Function("f"), sp.Function("C")  # without a definition: unknown
    return [
        Eq(a[0, i], x[i]),
        Eq(z[l, i], sp.Sum(W[l, i, j] * a[l - 1, j], (j, 1, n[l - 1])) + b[l, i]),
        Eq(a[l, i], f(z[l, i])),
        Eq(Symbol("E"), C(a[L])),
    ]


@network("deep-softmax", "onehot(t)", "fixed(x)")
def deep_softmax() -> list[object]:
    W, b, a, z, x, p, target = arrays("W b a z x p t")
    m = sp.Idx("l", (1, L - 1))
    return [
        Eq(a[0, i], x[i]),
        Eq(z[m, i], sp.Sum(W[m, i, j] * a[m - 1, j], (j, 1, n[m - 1])) + b[m, i]),
        Eq(a[m, i], sb.relu(z[m, i])),
        Eq(z[L, i], sp.Sum(W[L, i, j] * a[L - 1, j], (j, 1, n[L - 1])) + b[L, i]),
        Eq(p[i], sp.exp(z[L, i]) / sp.Sum(sp.exp(z[L, j]), (j, 1, n[L]))),
        Eq(Symbol("E"), -sp.Sum(target[i] * sp.log(p[i]), (i, 1, n[L]))),
    ]


@network("rnn", "fixed(h[0], x, y)")
def rnn() -> list[object]:
    U, V, b, h, x, y, z, E = arrays("U V b h x y z E")
    k = sp.Idx("k")
    step = sp.Sum(U[i, j] * h[t - 1, j], (j, 1, H)) + sp.Sum(V[i, k] * x[t, k], (k, 1, D)) + b[i]
    return [
        Eq(z[t, i], step),
        Eq(h[t, i], sp.tanh(z[t, i])),
        Eq(E[t], sp.Sum((h[t, i] - y[t, i]) ** 2, (i, 1, H)) / 2),
        Eq(Symbol("J"), sp.Sum(E[t], (t, 1, T))),
    ]


@network("rnn-stacked", "fixed(h[0, t], h[l, 0], y)")
def rnn_stacked() -> list[object]:
    U, V, h, y, z = arrays("U V h y z")
    above = sp.Sum(U[l, i, j] * h[l, t - 1, j], (j, 1, n[l]))
    below = sp.Sum(V[l, i, j] * h[l - 1, t, j], (j, 1, n[l - 1]))
    return [
        Eq(z[l, t, i], above + below),
        Eq(h[l, t, i], sp.tanh(z[l, t, i])),
        Eq(Symbol("J"), sp.Sum(sp.Sum((h[L, t, i] - y[t, i]) ** 2, (i, 1, n[L])) / 2, (t, 1, T))),
    ]


@network("lstm", "fixed(h[0], c[0], x, y)")
def lstm() -> list[object]:
    h, c, x, y, E = arrays("h c x y E")
    k, equations = sp.Idx("k"), []
    gates = {}
    for name, function in (("i", sb.sigmoid), ("f", sb.sigmoid), ("o", sb.sigmoid), ("g", sp.tanh)):
        W, U, gate = arrays(f"W_{name} U_{name} {name}")
        inner = sp.Sum(W[j, k] * x[t, k], (k, 1, D)) + sp.Sum(U[j, k] * h[t - 1, k], (k, 1, H))
        gates[name] = gate
        equations.append(Eq(gate[t, j], function(inner)))
    return [
        *equations,
        Eq(c[t, j], gates["f"][t, j] * c[t - 1, j] + gates["i"][t, j] * gates["g"][t, j]),
        Eq(h[t, j], gates["o"][t, j] * sp.tanh(c[t, j])),
        Eq(E[t], sp.Sum((h[t, j] - y[t, j]) ** 2, (j, 1, H)) / 2),
        Eq(Symbol("J"), sp.Sum(E[t], (t, 1, T))),
    ]


net = ZOO["circuit-add-mul"]()
