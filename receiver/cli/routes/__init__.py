"""The commands for who edits routes.yaml or writes handlers: routes, try, send, pause, new-handler."""
