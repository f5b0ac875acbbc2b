"""Messages that may contain text of files."""

from tfgan_zoo.errors import first_line, printable


def test_control_characters_are_escaped_and_letters_are_kept():
    assert printable("a\x1b[2J\n\x9b\u202eb") == r"a\x1b[2J\n\x9b\u202eb"
    assert printable("ärger 絵 \U0001f600 'q'") == "ärger 絵 \U0001f600 'q'"
    assert printable("\udcff") == r"\udcff"
    assert first_line(ValueError("\x1b[31mred\nmore")) == r"\x1b[31mred"
