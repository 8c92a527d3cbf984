"""Is a formula right, and if not, what is the smallest repair that makes it so."""
