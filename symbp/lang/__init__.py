"""The catalogues of words, one file per language."""
