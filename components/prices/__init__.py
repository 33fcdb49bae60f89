"""What a stack costs: published figures, and the arithmetic on them. Plain data; no cloud is asked here.

- `figures`: a price with its source and date.
- `catalogue`: the figures that this repository knows.
- `speeds`: how fast an engine speaks on a GPU, as published.
- `stack`: what a stack is made of, and what it costs.
- `rendering`: the result as text and Markdown.
"""
