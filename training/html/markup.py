"""Elements of HTML and SVG, built so that no text can be read as markup: what is not Markup is escaped."""

from html import escape


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


Content = Markup | str | float | None


def text_of(content: Content) -> Markup:
    """Content as markup: text escaped, None as nothing."""
    if isinstance(content, Markup):
        return content
    if content is None:
        return Markup()
    return Markup(escape(f"{content:g}" if isinstance(content, float) else str(content)))


def join(*contents: Content) -> Markup:
    """One after the other."""
    return Markup("".join(map(text_of, contents)))


def tag(name: str, *contents: Content, **attributes: Content) -> Markup:
    """`tag("p", "a < b", class_="note")`: a trailing underscore is dropped, others become hyphens; None is left out."""
    stated = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{text_of(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{stated}>{join(*contents)}</{name}>")
