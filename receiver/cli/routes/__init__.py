"""The commands for who edits routes.yaml or writes handlers: routes, try, pause, resume, recipes, new-handler."""
