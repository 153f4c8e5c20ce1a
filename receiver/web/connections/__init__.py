"""What uvicorn does not bound: how long, how large and how many, by a subclass of its protocol. Nothing here knows of
webhooks; the application and its endpoint are in the folder above."""
