"""Text that was recognised in the pixels of a layer: words, place, size, style and paragraphs.

1. `reading`: the lines of a layer, from its alpha alone, and their words.
2. `style`: of each line the family, size, weight, slant and colour, by the metrics in `fonts`.
3. `paragraphs`: lines of one style that stand below each other are one block.
4. `layer.recognize`: all three, and what of the layer is not text.
"""
