"""The studio: a web server around the model and the store."""
