"""From a derivation to something a person reads: one file per format, none of which computes."""
