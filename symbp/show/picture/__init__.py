"""Pictures of the graph: one layered layout, drawn as SVG, TikZ, Mermaid and DOT."""
