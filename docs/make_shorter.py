"""Write docs/shorter.md: the published gradients of tests/corpus that symbp prints shorter, and why.

    python docs/make_shorter.py

Length counts operators, comparisons and calls. Listed are forms in leaves and forward nodes, and δ
forms where the published one names error terms, that rest on a definition or a fact.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "shorter.md"
HEAD = """# Shorter than the textbook

Forms that symbp derives and that are shorter than the published ones, because the network's own definitions or the
facts of its data allow it. Length counts operators, comparisons and calls. The last column is what the proof rests on;
the proof itself multiplies out both sides after these definitions have been put in.
Made by `docs/make_shorter.py` from the published gradients in `tests/corpus`.

| network | of | published | symbp | because |
|---|---|---|---|---|
"""


def rows() -> list[str]:
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    import formulas
    import test_corpus as corpus

    found: list[str] = []
    for path in corpus.CASES:
        case, derivation = corpus.case_of(path), corpus.derivation_of(path)
        for entry in corpus.published(case):
            a = derivation.adjoints[entry["wrt"]]
            texts = [t for t in (corpus.text(derivation, a, "closed"), corpus.text(derivation, a, "delta")) if t]
            if not any("d" + used in entry["numpy"] for used in a.uses):  # published in leaves and nodes
                texts = texts[:1]
            best = min(texts, key=formulas.operations, default=None)
            published = formulas.operations(entry["numpy"])
            if best is not None and a.because and formulas.operations(best) < published:
                reasons = "; ".join(dict.fromkeys(a.because)).replace("|", "\\|")
                found.append(f"| {case.case['title']} | `{entry['wrt']}` | `{entry['numpy']}` | `{best}` | {reasons} |")
    return found


if __name__ == "__main__":
    PAGE.write_text(HEAD + "\n".join(rows()) + "\n", encoding="utf-8")
