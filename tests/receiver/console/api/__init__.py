"""The API from outside: every endpoint in a filled house, its document, clients made of it."""
