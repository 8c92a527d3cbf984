"""LaTeX in: tokens, statements, trees, and what they mean in one network.

    text ──scan, macros──► tokens ──decorate──► statements ──grammar──► nodes ──resolve──► formulas

The grammar knows nothing about mathematics; the resolver decides by the network's names. What is
not understood stays unread and says what would help. Nothing here compares with the truth.
"""
