"""The one family of errors: each message names the thing, what was found, what was expected and what to do."""


class SgaudioError(Exception):
    """Anything that a user can mend. Its text is one clear line, fit to be printed as it is."""


class ConfigError(SgaudioError, ValueError):
    """A name, an option or a value that is not what it should be."""


class AudioError(SgaudioError):
    """Sound that cannot be read or written."""


class CheckpointError(SgaudioError):
    """A model file that is not ours, damaged, or newer than this version."""


class WalkError(SgaudioError):
    """A reverse walk that did not end in finite numbers."""
