"""
Pictures: inline SVG made of plain values; no script, no style attribute, no clock of its own.

    svg.py      elements, escaping, the frame of a picture     scale.py   scales and their ticks
    axes.py     axes of time and of quantity                   looks.py   colour and mark of a state
    human.py    numbers and durations as a person reads them   frame.py   Picture, Key, Table

Each of the others makes one picture: a function of values that returns a `Picture`, which is its
SVG, its legend and the rows of the table under it. Colours are classes of `pictures.css` only.
A picture holds no link: it is one image to whoever cannot see it, and the table has the links.
"""
