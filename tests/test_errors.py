"""Messages that may contain text of files."""

import math

import pytest

from tfgan_zoo.errors import (
    UserError,
    check_choice,
    check_range,
    first_line,
    nearest_names,
    printable,
    shortened,
)


def test_control_characters_are_escaped_and_letters_are_kept():
    assert printable("a\x1b[2J\n\x9b\u202eb") == r"a\x1b[2J\n\x9b\u202eb"
    assert printable("ärger 絵 \U0001f600 'q'") == "ärger 絵 \U0001f600 'q'"
    assert printable("\udcff") == r"\udcff"
    assert first_line(ValueError("\x1b[31mred\nmore")) == r"\x1b[31mred"


def test_long_words_and_values_are_shortened():
    assert printable(f"a {'x' * 5000} b") == f"a {'x' * 100}...{'x' * 100} b"
    assert printable("/folder" * 50) == "/folder" * 50
    assert shortened("a b" * 1000).startswith("'a ba b") and len(shortened("a b" * 1000)) < 130
    assert shortened([1, 2]) == "[1, 2]"


@pytest.mark.parametrize("value", [0, 13, -1, math.nan, math.inf, 10**12])
def test_range_names_bounds_and_value(value):
    with pytest.raises(UserError, match=rf"^downs must be between 1 and 12, got {value!r}.$"):
        check_range(1, 12, downs=value)
    check_range(1, 12, downs=1, other=12.0)


@pytest.mark.parametrize(
    ("value", "listing", "message"),
    [
        ("blu", "", "Unknown color 'blu'. Did you mean blue? Choices: red, blue, black."),
        ("xy", "", "color must be one of red, blue, black, got 'xy'."),
        ("bla", "", "Unknown color 'bla'. Did you mean black? Choices: red, blue, black."),
        ("blu", "See the list.", "Unknown color 'blu'. Did you mean blue? See the list."),
        ("x", "See the list.", "Unknown color 'x'. See the list."),
        (1, "", "color must be one of red, blue, black, got 1."),
    ],
)
def test_the_nearest_choices_come_first(value, listing, message):
    with pytest.raises(UserError) as error:
        check_choice("color", value, ("red", "blue", "black"), listing)
    assert str(error.value) == message
    check_choice("color", "red", ("red", "blue"))


def test_names_are_found_by_their_beginning():
    assert nearest_names("frechet", ["l1", "frechet_distance"]) == ["frechet_distance"]
    assert nearest_names("l", ["l1_error", "psnr"]) == []
