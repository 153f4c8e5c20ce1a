"""What goes wrong with templates."""


class TemplateFailed(Exception):
    """A template cannot be rendered for this event; another attempt would end the same way."""
