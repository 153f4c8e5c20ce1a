"""What the API refuses."""


class Unknown(Exception):
    """No record of that id; the API answers it with a page of HTML and status 500, or 404."""


class Invalid(Exception):
    """A record that breaks a rule: the property and what is wrong with it."""

    def __init__(self, name: str, message: str, attempted: object) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name
        self.message = message
        self.attempted = attempted
