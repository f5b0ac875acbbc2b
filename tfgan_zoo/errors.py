"""Errors that the user can correct, and argument checks that raise them."""

import difflib


class UserError(ValueError):
    """A mistake that the user can mend: the message is one plain line, the command line prints no traceback."""


def first_line(error):
    """What an exception says, for a list of several: readers of broken files raise all sorts of things, some without a word."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def check_choice(name, value, choices):
    """Raises `UserError` with the nearest choice unless `value` is one of `choices`."""
    if value not in choices:
        raise UserError(
            f"{name} must be one of {', '.join(map(str, choices))}{suggestion(value, choices)}, received {name}={value!r}"
        )


def check_at_least(minimum, **fields):
    """Raises `UserError` unless every named number is at least `minimum`."""
    for name, value in fields.items():
        if not value >= minimum:
            raise UserError(f"{name} must be at least {minimum}, received {name}={value!r}")


def suggestion(word, choices):
    """` (did you mean ...?)` for a misspelt word, or nothing."""
    close = difflib.get_close_matches(str(word), [str(choice) for choice in choices], n=2)
    return f" (did you mean {' or '.join(close)}?)" if close else ""
