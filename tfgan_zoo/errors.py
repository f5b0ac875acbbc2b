"""Errors that the user can correct, and argument checks that raise them."""

import difflib
import re
import shlex
import unicodedata

MAX_COUNT = 10**9  # of epochs, steps and images: more than any training needs
MAX_FLOAT = 1e38  # below the largest float32
MAX_SEED = 2**31 - 1  # of a model's images: the signatures of exported models take int32
MAX_TRAIN_SEED = 2**32 - 1  # of training and evaluation: a seed of NumPy


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
    """Return a text for one line of a terminal.

    Control characters, which could change the terminal, are escaped. Words of more than 500
    characters, such as a mistyped name, are cut in the middle.
    """
    text = re.sub(r"\S{500,}", lambda word: f"{word[0][:100]}...{word[0][-100:]}", str(text))
    return "".join(
        repr(character)[1:-1] if unicodedata.category(character)[0] == "C" else character
        for character in text
    )


def shortened(value):
    """Return the repr of a value, cut to 200 characters."""
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:100]}...{text[-20:]}"


def first_line(error):
    """Return the first line of an exception's message, or its type name if the message is empty."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return printable(line[:200])


def check_choice(name, value, choices, listing=""):
    """Raise `UserError` unless `value` is one of `choices`. The nearest choices come first.

    Args:
        name: what is checked, for the message.
        value: the value.
        choices: the allowed values.
        listing: sentence about where to find the choices, instead of a list of all of them.
    """
    if value in choices:
        return
    names = ", ".join(map(str, choices))
    nearest = suggestion(value, choices) if isinstance(value, str) else ""
    if nearest or listing:
        kind = name.removeprefix("a ")
        parts = (f"Unknown {kind} {shortened(value)}.", nearest, listing or f"Choices: {names}.")
        raise UserError(" ".join(filter(None, parts)))
    raise UserError(f"{name} must be one of {names}, got {shortened(value)}.")


def check_range(lower, upper, **fields):
    """Raise `UserError` unless every named number is between `lower` and `upper`.

    NaN is refused. The upper bounds of sizes are those up to which a network can be built. Those of
    other numbers are `MAX_COUNT`, `MAX_FLOAT` and `MAX_SEED`.
    """
    for name, value in fields.items():
        if not lower <= value <= upper:
            raise UserError(f"{name} must be between {lower} and {upper}, got {shortened(value)}.")


def shell_command(*words):
    """Return a command of this package that can be pasted into a shell."""
    return shlex.join(["tfgan-zoo", *map(str, words)])


def join_names(names, limit=10):
    """Return names separated by commas: "cats, dogs and 3 more"."""
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return printable(", ".join(map(str, names[:limit])) + more)


def nearest_names(word, names, limit=2):
    """Return the names that a misspelled or abbreviated word may mean, the most similar first."""
    word, names = str(word), [str(name) for name in names]
    matches = difflib.get_close_matches(word, names, n=limit)
    if not matches and len(word) > 2:
        matches = [name for name in names if name.startswith(word)][:limit]
    return matches


def did_you_mean(names):
    """Return `Did you mean a or b?`, or an empty string if there are no names."""
    return f"Did you mean {' or '.join(names)}?" if names else ""


def suggestion(word, choices):
    """Return `Did you mean ...?` for a misspelled or abbreviated word, or an empty string."""
    return did_you_mean(nearest_names(word, choices))
