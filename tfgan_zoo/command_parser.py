"""Parser of the command line: help, error messages and shell completion."""

import argparse
import difflib
import re
import sys
import textwrap

from tfgan_zoo.config import field_suggestions
from tfgan_zoo.errors import did_you_mean, nearest_names, printable, shortened
from tfgan_zoo.fields import experiment_fields
from tfgan_zoo.presets import PRESETS
from tfgan_zoo.saving import hub


class HelpFormatter(argparse.HelpFormatter):
    """Fit descriptions and examples into the width of the terminal.

    Paragraphs are separated by an empty line. Indented lines are not joined. A command that is too
    long continues in the next line after a backslash.
    """

    def _fill_text(self, text, width, indent):
        paragraphs = re.split(r"\n\n+", text.strip("\n"))
        return "\n\n".join(self.fill_paragraph(part, width, indent) for part in paragraphs)

    def fill_paragraph(self, text, width, indent):
        """Return a paragraph with lines of at most `width` characters."""
        lines = []
        for line in re.split(r"\n(?= )", text):
            text = line.lstrip()
            margin = indent + " " * (len(line) - len(text))
            if text.startswith("tfgan-zoo "):
                lines.append(wrap_command(text, width, margin))
                continue
            term = re.match(r"\S+ {2,}", text)  # a list of terms and their meanings
            hanging = margin + " " * (len(term[0]) if term else 0)
            lines.append(
                textwrap.fill(
                    text if term else " ".join(text.split()),
                    max(width, len(hanging) + 20),
                    initial_indent=margin,
                    subsequent_indent=hanging,
                    break_on_hyphens=False,
                )
            )
        return "\n".join(lines)


def wrap_command(command, width, margin):
    """Return a command in lines of at most `width` characters that end with a backslash."""
    unbroken = re.sub(r" (--?[a-z-]+) (?!-)", " \\1\0", command)  # keep an option with its value
    lines = textwrap.wrap(
        unbroken,
        max(width - 2, 20),
        initial_indent=margin,
        subsequent_indent=margin + "    ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return " \\\n".join(lines).replace("\0", " ")


class CommandParser(argparse.ArgumentParser):
    """ArgumentParser with examples, hints for mistakes, and arguments after options.

    A list of arguments (`nargs="*"` or `"+"`) usually ends at the next option. Here the arguments
    after the option are appended to it. `parse_intermixed_args` does not support subcommands.

    Attributes:
        commands: names of the subcommands.
        examples: {explanation: command}.

    An argument with overrides has the attribute `sections`, see `add_overrides_argument` of cli.py.
    """

    def __init__(self, *args, **options):
        super().__init__(*args, formatter_class=HelpFormatter, **options)
        self.commands, self.examples = (), {}

    def describe(self, description, examples):
        """Set the description and the examples {explanation: command} of the help."""
        self.description, self.examples = textwrap.dedent(description).strip(), examples
        lines = (f"  {text}:\n    {command}" for text, command in examples.items())
        self.epilog = "\n".join(["examples:", *lines])

    def list_argument(self):
        """Return the positional argument that is a list, or None."""
        lists = [a for a in self._actions if a.nargs in ("*", "+") and not a.option_strings]
        return lists[0] if lists else None

    def parse_known_args(self, args=None, namespace=None):
        args = sys.argv[1:] if args is None else list(args)
        if self.commands and args and not args[0].startswith("-") and args[0] not in self.commands:
            hint = did_you_mean(nearest_names(args[0], self.commands))
            see = f"`{self.prog} --help` shows all commands."
            parts = (f"Unknown command {shortened(args[0])}.", hint, see)
            self.exit_with(" ".join(filter(None, parts)))
        options, extras = super().parse_known_args(args, namespace)
        end = extras.index("--") if "--" in extras else len(extras)
        unknown = [extra for extra in extras[:end] if extra.startswith("-")]
        extras = extras[:end] + extras[end + 1 :]
        if unknown:
            self.exit_with(self.unknown_option(unknown[0], args, options))
        target = self.list_argument()
        if extras and not target:
            self.error(f"unrecognized arguments: {' '.join(extras)}")
        if not target:
            return options, []
        setattr(options, target.dest, [*getattr(options, target.dest), *extras])
        return options, []

    def unknown_option(self, word, args, options):
        """Return the message for an option that does not exist, such as `--epochs=3`."""
        option, equals, value = word.partition("=")
        if not equals:
            after = [*args[args.index(word) + 1 :], "-"] if word in args else ["-"]
            value = "VALUE" if after[0].startswith("-") else after[0]
        names = [name for action in self._actions for name in action.option_strings]
        suggestions = difflib.get_close_matches(option, names, n=1, cutoff=0.8)
        sections = getattr(self.list_argument(), "sections", ())
        if not suggestions and sections:
            fields = fields_of_preset(getattr(options, "preset", None))
            fields = {section: fields[section] for section in sections}
            value = value if len(value) <= 100 else "VALUE"
            suggestions = [
                f"{name}={value}" for name in field_suggestions(option.lstrip("-"), fields)
            ]
        hint = did_you_mean(suggestions or nearest_names(option, names))
        see = f"`{self.prog} --help` shows all options."
        return " ".join(filter(None, (f"Unknown option {shortened(option)}.", hint, see)))

    def error(self, message):
        self.exit_with(f"{message} (see {self.prog} --help)")

    def exit_with(self, message):
        """Print a message in one line and exit with code 2."""
        self.exit(2, f"tfgan-zoo: error: {one_line(message)}\n")


def one_line(message):
    """Return a message in one line that is safe to print on a terminal."""
    return printable(" ".join(str(message).split()))


# --- shell completion: functions that argcomplete calls with the typed beginning of a word ---


def complete_presets(prefix, **more):
    """Return the names of all presets."""
    return list(PRESETS)


def complete_sources(prefix, **more):
    """Return the names of the pretrained presets, and the files that begin with the prefix."""
    return [*hub.checksums(), *complete_files(prefix)]


def complete_runs(prefix, **more):
    """Return the names of all presets, and the files that begin with the prefix."""
    return [*PRESETS, *complete_files(prefix)]


def complete_files(prefix):
    """Return the files and folders that begin with the prefix."""
    from argcomplete.completers import FilesCompleter

    return FilesCompleter()(prefix)


def complete_overrides(prefix, action, parsed_args, **more):
    """Return `section.field=` of all fields of the preset that was typed before."""
    fields = fields_of_preset(getattr(parsed_args, "preset", None))
    return [f"{section}.{field}=" for section in action.sections for field in fields[section]]


def fields_of_preset(name):
    """Return the fields of a preset; those of all models for another name."""
    return experiment_fields(PRESETS[name]["kind"] if name in PRESETS else None)
