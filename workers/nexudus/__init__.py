"""Nexudus for handlers: what a handler may ask for, within the account's budget and the attempt's time."""
