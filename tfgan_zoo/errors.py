"""Errors that the user can correct, and argument checks that raise them."""

import difflib
import unicodedata


class UserError(ValueError):
    """A mistake that the user can correct.

    The message is one line. The command line prints it without a traceback.
    """

    # Keras appends the arguments of `call` to the message of an error without this attribute.
    _keras_call_info_injected = True


class UnhealthyError(RuntimeError):
    """Training was stopped because a loss or a weight is NaN or infinite."""


class FailureError(RuntimeError):
    """A failure of a correct command, such as a damaged input file.

    The message is one line. The command line prints it without a traceback and ends with code 1.
    """


def printable(text):
    """Return a text with escapes for control characters, which could change the terminal."""
    return "".join(
        repr(character)[1:-1] if unicodedata.category(character)[0] == "C" else character
        for character in str(text)
    )


def first_line(error):
    """Return the first line of an exception's message, or its type name if the message is empty."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return printable(line[:200])


def check_choice(name, value, choices):
    """Raise `UserError` with the nearest choices unless `value` is one of `choices`."""
    if value not in choices:
        names = ", ".join(map(str, choices))
        raise UserError(
            f"{name} must be one of {names}{suggestion(value, choices)}, got {value!r}."
        )


def check_at_least(minimum, **fields):
    """Raise `UserError` unless every named number is at least `minimum`."""
    for name, value in fields.items():
        if not value >= minimum:
            raise UserError(f"{name} must be at least {minimum}, got {value!r}.")


def suggestion(word, choices):
    """Return ` (did you mean ...?)` for a misspelled or abbreviated word, or an empty string."""
    word, names = str(word), [str(choice) for choice in choices]
    matches = difflib.get_close_matches(word, names, n=2)
    if not matches and len(word) > 2:
        matches = [name for name in names if name.startswith(word)][:2]
    return f" (did you mean {' or '.join(matches)}?)" if matches else ""
