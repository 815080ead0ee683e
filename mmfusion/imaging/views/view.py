"""Figure that needs no window, and its texts as they are written."""

from __future__ import annotations

import io
from functools import partial

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter

from mmfusion.escaping import visible_text


class View(Figure):
    """Figure that needs no window and that a notebook shows.

    Examples
    --------
    >>> View(figsize=(4, 3)).get_size_inches().tolist()
    [4.0, 3.0]
    """

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        FigureCanvasAgg(self)

    def literal(self) -> View:
        """Show every text that the figure has now as it is written; "$" begins no formula.

        Names of patients, columns and classes come from data. Texts that are added later are not changed.

        Examples
        --------
        >>> figure = View(figsize=(4, 3))
        >>> title = figure.suptitle("patient $x$")
        >>> len(figure.literal()._repr_png_()) > 0
        True
        """
        for text in self.findobj(Text):
            text.set_parse_math(False)
            text.set_text(visible_text(text.get_text()))
        for axis in (axis for ax in self.axes for axis in (ax.xaxis, ax.yaxis)):
            names = axis.get_major_formatter()
            if isinstance(names, FuncFormatter):  # it sets texts again while the figure is drawn
                axis.set_major_formatter(FuncFormatter(partial(_visible_label, names)))
        return self

    def _repr_png_(self) -> bytes:
        return png_of(self, dpi=144)


def png_of(figure: Figure, dpi: float) -> bytes:
    """Return a figure as bytes of a PNG file.

    Examples
    --------
    >>> png_of(View(figsize=(1, 1)), dpi=10)[1:4]
    b'PNG'
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def _visible_label(names: FuncFormatter, value: float, position: int | None = None) -> str:
    return visible_text(names(value, position))
