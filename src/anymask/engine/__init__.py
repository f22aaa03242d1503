"""The data engine: the store of pictures, objects and their history."""
