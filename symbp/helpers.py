"""The text of functions that NumPy lacks, for generated code."""

from __future__ import annotations

from symbp.ops import ROWS

HELPERS: dict[str, str] = {row.name: row.helper for row in ROWS if row.helper} | {
    "softmax": '''
def softmax(x, axis=-1):
    """exp(x)/sum(exp(x)), safe for large x."""
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e/e.sum(axis=axis, keepdims=True)
''',
    "log_softmax": '''
def log_softmax(x, axis=-1):
    """log(softmax(x)), safe for large x."""
    shifted = x - x.max(axis=axis, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))
''',
    "logsumexp": '''
def logsumexp(x, axis=None, keepdims=False):
    """log(sum(exp(x))), safe for large x."""
    top = x.max(axis=axis, keepdims=True)
    result = top + np.log(np.exp(x - top).sum(axis=axis, keepdims=True))
    return result if keepdims else np.squeeze(result, axis=axis)
''',
    "upsample2d": '''
def upsample2d(x, k):
    """Every entry repeated in a k×k block of the last two axes."""
    return np.repeat(np.repeat(x, k, axis=-2), k, axis=-1)
''',
    "dilate1d": '''
def dilate1d(x, step):
    """step − 1 zeros between neighbours on the last axis."""
    wide = np.zeros((*x.shape[:-1], (x.shape[-1] - 1)*step + 1), x.dtype)
    wide[..., ::step] = x
    return wide
''',
    "dilate2d": '''
def dilate2d(x, step):
    """step − 1 zeros between neighbours on the last two axes."""
    wide = np.zeros((*x.shape[:-2], *((n - 1)*step + 1 for n in x.shape[-2:])), x.dtype)
    wide[..., ::step, ::step] = x
    return wide
''',
    "windows1d": '''
def windows1d(x, k, stride=1):
    """All windows of k places along the last axis: (..., windows, k)."""
    return np.lib.stride_tricks.sliding_window_view(x, k, axis=-1)[..., ::stride, :]
''',
    "windows2d": '''
def windows2d(x, kh, kw, stride=1):
    """All windows over the last two axes: (..., rows, columns, kh, kw)."""
    windows = np.lib.stride_tricks.sliding_window_view(x, (kh, kw), axis=(-2, -1))
    return windows[..., ::stride, ::stride, :, :]
''',
    "conv1d": '''
def conv1d(x, w, stride=1, padding=0):
    """x (n,) with a kernel w (k,), or x (C, n) with w (O, C, k), as in neural networks."""
    x = np.pad(x, [(0, 0)]*(x.ndim - 1) + [(padding, padding)])
    windows = windows1d(x, w.shape[-1], stride)
    return windows @ w if w.ndim == 1 else np.tensordot(w, windows, axes=([1, 2], [0, 2]))
''',
    "conv2d": '''
def conv2d(x, w, stride=1, padding=0):
    """x (h, w) with a kernel w (k, l), or x (C, h, w) with w (O, C, k, l), as in neural networks."""
    x = np.pad(x, [(0, 0)]*(x.ndim - 2) + [(padding, padding)]*2)
    windows = windows2d(x, *w.shape[-2:], stride)
    axes = ([0, 1], [2, 3]) if w.ndim == 2 else ([1, 2, 3], [0, 3, 4])
    return np.tensordot(w, windows, axes=axes)
''',
}  # fmt: skip
"""Functions that NumPy lacks, by name: those of the table of functions, and reductions. None needs one after it."""

__all__ = ["HELPERS"]
