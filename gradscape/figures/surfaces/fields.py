"""What pictures of surfaces are made of: a surface gives the field that is asked for, a field is drawn as it is."""

from collections.abc import Sequence

from gradscape.landscape import Field, Surface

__all__ = ["drawn_unit", "several", "to_field", "to_fields"]


def to_field(drawable: Surface | Field, value: str | None = None) -> Field:
    """The field to draw.

    Args:
        drawable: A surface, or a field itself.
        value: Name of one of the surface's fields, by default "loss"; left out for a field.

    Raises:
        ValueError: The surface has no such field, or `value` was given for a field.
    """
    if isinstance(drawable, Surface):
        return drawable.field("loss" if value is None else value)
    if value is not None:
        raise ValueError(
            f'`value` must be left out for a field, which is one already ("{drawable.name}"), got {value!r}'
        )
    return drawable


def to_fields(drawables: Sequence[Surface | Field], value: str | None = None) -> list[Field]:
    """The fields to draw side by side; arguments and errors are those of `to_field`."""
    return [to_field(drawable, value) for drawable in drawables]


def several(drawables: Surface | Field | Sequence[Surface | Field]) -> list[Surface | Field]:
    """One or many as a list."""
    return [drawables] if isinstance(drawables, Surface | Field) else list(drawables)


def drawn_unit(unit: str) -> tuple[float, str]:
    """By what values of a unit are multiplied where they are drawn, and the unit then: shares are drawn in percent."""
    return (100.0, "%") if unit == "share" else (1.0, unit)
